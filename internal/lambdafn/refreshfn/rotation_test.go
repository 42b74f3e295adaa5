package refreshfn_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// manager is Secrets Manager as an operator's command line calls it.
func (s *stack) manager() *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{
		Region: awslocal.Region, BaseEndpoint: aws.String(s.AWS.URL), Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
	})
}

// app is the connection of a SHOPLINE app that was approved just now.
func (s *stack) app() providers.Connection {
	return s.Sandboxes[providers.SHOPLINE].(*shoplinetest.Server).AppConnection(s.URLs[providers.SHOPLINE])
}

// eventually waits for what the service does in the background.
func (s *stack) eventually(what string, done func() bool) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not within 10 s: %s\n%s", what, s.logged())
		}
	}
}

// A counted handler knows how many of its invocations are running.
type counted struct {
	lambda.Handler

	running atomic.Int64
}

func (c *counted) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	c.running.Add(1)
	defer c.running.Add(-1)
	return c.Handler.Invoke(ctx, payload)
}

// TestRotateSecret_EndToEnd lets Secrets Manager itself drive: a team turns
// rotation on, tests it, and afterwards the schedule only starts it.
func TestRotateSecret_EndToEnd(t *testing.T) {
	t.Parallel()
	for provider, part := range map[string]string{providers.Yappli: secretstore.TokenPart, providers.SHOPLINE: secretstore.RefreshPart} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			if provider == providers.SHOPLINE {
				s.connect(s.app())
			}
			steps := &counted{Handler: s.function}
			s.must(s.AWS.Register(awslocal.Function{Name: localstack.TokenRefresh, Aliases: localstack.Aliases(localstack.TokenRefresh), Handler: steps, Timeout: time.Minute}))
			s.outcomes(s.invoke("schedule.json"))
			name := secretstore.Name(localstack.Prefix, provider, part)
			first := s.token(provider)

			// RotateImmediately=false only tests the configuration.
			arn := "arn:aws:lambda:" + awslocal.Region + ":" + awslocal.Account + ":function:" + rotationAlias
			_, err := s.manager().RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{
				SecretId: &name, RotationLambdaARN: &arn, RotateImmediately: aws.Bool(false), ClientRequestToken: aws.String(uuid.NewString()),
			})
			s.must(err)
			pending := func() bool {
				d, err := s.AWS.Secrets.Describe(t.Context(), name)
				s.must(err)
				_, found := d.Holder(secretstore.Pending)
				return found
			}
			s.eventually("the test ends", func() bool { return !pending() })
			if s.token(provider).Version != first.Version || s.AWS.Calls()["lambda.Invoke"] != 1 {
				t.Errorf("version %s, %d invocations", s.token(provider).Version, s.AWS.Calls()["lambda.Invoke"])
			}

			// What is asked of the function from then on only starts a rotation.
			previous := first.Credential
			for _, ask := range []func() (string, error){
				func() (string, error) { return s.force(provider) },
				func() (string, error) {
					return s.ask(localstack.Readers, `{"provider":"`+provider+`","rejected_version":"`+s.token(provider).Version+`"}`)
				},
			} {
				if got := s.outcomes(ask()); got != provider+" rotating" {
					t.Fatalf("outcomes %q", got)
				}
				// The last step has moved the label before it lets go of the lease.
				s.eventually("a new token", func() bool {
					return s.token(provider).Credential != previous && !pending() && steps.running.Load() == 0
				})
				previous = s.token(provider).Credential
			}
			if got := s.outcomes(s.invoke("schedule.json")); got == "" {
				t.Error("no report")
			}
			s.works(provider)
		})
	}
}
