// Package lambdafn is the only reader of the environment and the only place that
// wires: settings become an aws.Config, the stores, the providers' clients and
// a core. Its sub-packages refreshfn, relayfn and exportfn compose one
// function each; the function binaries, the command line and the tests all run
// these same compositions.
//
// A composition checks all its settings before anything else and makes no
// network call until its first event.
package lambdafn

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"hikyaku/pkg/providers"
)

// An Environ is the world around a function: its settings, and the
// outlets that tests and the demo replace. Only Vars is required.
type Environ struct {
	providers.Opaque // Vars hold credentials

	Vars map[string]string
	Out  io.Writer         // logs and metrics, a JSON object a line; nil: standard output
	HTTP http.RoundTripper // to the providers; nil: a transport behind the egress guard
	AWS  http.RoundTripper // to the AWS endpoint; nil: the SDK's own transport
	Now  func() time.Time  // nil: time.Now

	invocations *invocations // of the process; nil: not those of Lambda
}

// OSEnviron returns the process's environment.
func OSEnviron() Environ { return Environ{Vars: env.ToMap(os.Environ())} }

// Common are the settings that every function has.
type Common struct {
	Prefix     string           `env:"HIKYAKU_PREFIX,required,notEmpty"`        // leads every secret name and S3 key
	Bucket     string           `env:"HIKYAKU_BUCKET,required,notEmpty"`        // state and exports
	UserAgent  string           `env:"HIKYAKU_USER_AGENT" envDefault:"hikyaku"` // shown to the providers; SHOPLINE's handle code
	AllowHosts []string         `env:"HIKYAKU_ALLOW_HOSTS"`                     // hosts that may be private or plain http; only with a custom endpoint
	Refresher  string           `env:"HIKYAKU_TOKENREFRESH_FUNCTION"`           // name of the function that replaces a rejected token; empty: nobody is asked
	LogLevel   string           `env:"HIKYAKU_LOG_LEVEL" envDefault:"INFO"`     // DEBUG, INFO, WARN or ERROR
	Stack      string           `env:"HIKYAKU_STACK"`                           // name of the stack, a dimension of every metric; empty: none, as on a laptop
	KMSKey     string           `env:"HIKYAKU_KMS_KEY"`                         // ARN of the KMS key of secrets that are made; empty: Secrets Manager's own
	Region     string           `env:"AWS_REGION,required,notEmpty"`            // set by Lambda
	Endpoint   string           `env:"AWS_ENDPOINT_URL"`                        // any AWS-compatible endpoint; empty: AWS
	KeyID      string           `env:"AWS_ACCESS_KEY_ID,required,notEmpty"`     // set by Lambda
	SecretKey  providers.Secret `env:"AWS_SECRET_ACCESS_KEY,required,notEmpty"` // set by Lambda
	Session    providers.Secret `env:"AWS_SESSION_TOKEN"`                       // set by Lambda
}

// Validate returns every fault of the common settings.
func (c Common) Validate() []error {
	var faults []error
	if len(c.AllowHosts) > 0 && c.Endpoint == "" {
		faults = append(faults, errors.New("HIKYAKU_ALLOW_HOSTS: only with AWS_ENDPOINT_URL, which marks a local or test set-up; remove it in production"))
	}
	if strings.Trim(c.Prefix, "/") != c.Prefix {
		faults = append(faults, errors.New("HIKYAKU_PREFIX: must not begin or end with a slash"))
	}
	if _, err := logLevel(c.LogLevel); err != nil {
		faults = append(faults, fmt.Errorf("HIKYAKU_LOG_LEVEL: %w", err))
	}
	return faults
}

// A Validator reports every fault of its settings, each naming its variable.
type Validator interface{ Validate() []error }

// Load reads settings by their env tags and validates them. The error lists
// every fault, a line each.
func Load[T Validator](e Environ) (T, error) {
	settings, err := env.ParseAsWithOptions[T](env.Options{Environment: e.Vars})
	var faults []error
	var several env.AggregateError
	switch {
	case errors.As(err, &several):
		faults = append(faults, several.Errors...)
	case err != nil:
		faults = append(faults, err)
	}
	faults = append(faults, settings.Validate()...)
	if len(faults) == 0 {
		return settings, nil
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = "  " + f.Error()
	}
	what := "1 fault; correct it"
	if n := len(faults); n > 1 {
		what = fmt.Sprintf("%d faults; correct them", n)
	}
	return settings, fmt.Errorf("the settings have %s in the environment:\n%s", what, strings.Join(lines, "\n"))
}
