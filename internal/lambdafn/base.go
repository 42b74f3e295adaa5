package lambdafn

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/s3store"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/secretstore/smstore"
	"hikyaku/pkg/providers"
)

// A Base is what every composition starts from.
type Base struct {
	providers.Opaque // AWS holds credentials

	Common  Common
	AWS     aws.Config
	Secrets secretstore.Store
	Objects objectstore.Store
	HTTP    *http.Client // to the providers
	Log     *slog.Logger
	Metrics *Metrics
	Out     io.Writer // of logs and metrics
	Now     func() time.Time

	// invoke is one method of the client and not the client itself, whose other
	// methods the linker would then keep: see docs/decisions/0026-the-vendors-client.md.
	invoke func(context.Context, *awslambda.InvokeInput, ...func(*awslambda.Options)) (*awslambda.InvokeOutput, error)
}

// Open wires the common settings. It makes no network call.
//
// Credentials are read from the environment, where Lambda puts them. The
// SDK's chain of other sources would triple the dependencies of every binary;
// the command line, which needs it, resolves it first.
func Open(e Environ, c Common) *Base {
	out := io.Writer(os.Stdout)
	if e.Out != nil {
		out = e.Out
	}
	out = &lines{to: out}
	level, _ := logLevel(c.LogLevel) // checked by Validate
	b := &Base{
		Common:  c,
		AWS:     awsConfig(e, c),
		HTTP:    &http.Client{Timeout: providerTimeout, Transport: e.HTTP},
		Log:     slog.New(newHandler(out, level, e.invocations)),
		Metrics: &Metrics{out: out, now: time.Now, stack: c.Stack, invocations: e.invocations},
		Out:     out,
		Now:     time.Now,
	}
	if e.HTTP == nil {
		b.HTTP.Transport = guardedTransport(c.AllowHosts)
	}
	if e.Now != nil {
		b.Now, b.Metrics.now = e.Now, e.Now
	}
	b.Secrets = smstore.New(secretsmanager.NewFromConfig(b.AWS), c.KMSKey)
	b.Objects = s3store.New(b.AWS, c.Bucket)
	b.invoke = awslambda.NewFromConfig(b.AWS).Invoke
	return b
}

// providerTimeout bounds one provider request. Leases outlive it.
const providerTimeout = 30 * time.Second

func awsConfig(e Environ, c Common) aws.Config {
	config := aws.Config{
		Region:      c.Region,
		Credentials: credentials.NewStaticCredentialsProvider(c.KeyID, c.SecretKey.Reveal(), c.Session.Reveal()),
	}
	if c.Endpoint != "" {
		config.BaseEndpoint = aws.String(c.Endpoint)
	}
	if e.AWS != nil {
		config.HTTPClient = &http.Client{Transport: e.AWS}
	}
	return config
}

// Options returns the options of a provider's client for this function.
func (b *Base) Options() *providers.Options {
	return &providers.Options{HTTP: b.HTTP, UserAgent: b.Common.UserAgent, Now: b.Now}
}

// Tokens returns the reader of a provider's token, which asks the token
// refresher to replace a version that was rejected.
func (b *Base) Tokens(provider string) *secretstore.Tokens {
	return &secretstore.Tokens{
		Store: b.Secrets, Name: secretstore.Name(b.Common.Prefix, provider, secretstore.TokenPart), Provider: provider,
		Now: b.Now, Replace: b.replace,
	}
}

// replace invokes the token refresher for one rejected version and waits for
// its answer.
func (b *Base) replace(ctx context.Context, provider, version string) error {
	if b.Common.Refresher == "" {
		return fmt.Errorf("%w: no token refresher is configured; set HIKYAKU_TOKENREFRESH_FUNCTION", providers.ErrUnauthorized)
	}
	payload, err := json.Marshal(map[string]string{"provider": provider, "rejected_version": version})
	if err != nil {
		return err
	}
	out, err := b.invoke(ctx, &awslambda.InvokeInput{FunctionName: &b.Common.Refresher, Payload: payload})
	if err != nil {
		return fmt.Errorf("%w: invoking %s", providers.ErrTemporary, b.Common.Refresher)
	}
	if out.FunctionError != nil {
		return fmt.Errorf("%w: %s failed; see its log", providers.ErrTemporary, b.Common.Refresher)
	}
	return notReplaced(out.Payload)
}

// notReplaced is an error if the refresher's report says that there will be no other
// token soon, such as when functions have had all the versions that they may.
func notReplaced(report []byte) error {
	var r struct {
		Results []struct{ Status, Outcome, Reason string }
	}
	_ = json.Unmarshal(report, &r) // of another shape it says nothing, and the secret will
	for _, x := range r.Results {
		if x.Status == "failed" || x.Status == "human" {
			return fmt.Errorf("%w: the rejected token was not replaced, %s: %s", providers.ErrTemporary, x.Outcome, x.Reason)
		}
	}
	return nil
}

// Main runs a composition as a Lambda function. A fault in the settings ends
// the process with the whole list, in a line on standard error, before any event.
//
// What first does is done when the first event has come, so that it delays no
// start. The memory limit of the Go runtime follows the function's size.
func Main[F lambda.Handler](compose func(context.Context, Environ) (F, error), first ...func()) {
	e := OSEnviron()
	e.invocations = new(invocations)
	limitMemory(e.Vars)
	// What the Lambda library says of a panic goes through the package log.
	slog.SetDefault(slog.New(newHandler(os.Stderr, slog.LevelDebug, e.invocations)))
	slog.SetLogLoggerLevel(slog.LevelError)
	function, err := compose(context.Background(), e)
	if err != nil {
		slog.Error("the function does not start", "err", err.Error())
		os.Exit(1)
	}
	lambda.StartWithOptions(&prepared{Handler: function, first: first, invocations: e.invocations}, lambda.WithEnableSIGTERM())
}

// prepared does something before its first event, and says which one is handled.
type prepared struct {
	lambda.Handler

	once        sync.Once
	first       []func()
	invocations *invocations
}

// Invoke handles an event.
func (p *prepared) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	p.once.Do(func() {
		for _, f := range p.first {
			f()
		}
	})
	defer p.invocations.begin(RequestID(ctx))()
	return p.Handler.Invoke(ctx, payload)
}

func logLevel(name string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cmp.Or(name, "INFO"))); err != nil {
		return 0, errors.New("must be DEBUG, INFO, WARN or ERROR")
	}
	return level, nil
}
