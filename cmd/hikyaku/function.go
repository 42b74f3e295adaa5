package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/spf13/cobra"

	"hikyaku/internal/dev"
	"hikyaku/internal/dev/clock"
	"hikyaku/internal/dev/record"
	"hikyaku/internal/hostguard"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
)

// newFunction is a function as 'hikyaku dev' runs it, in a process of its own.
func newFunction() *cobra.Command {
	return &cobra.Command{
		Use:    dev.Command + " NAME",
		Hidden: true,
		Short:  "Be a function of the stack of 'hikyaku dev'",
		Long: "Serves the invocations of Lambda's runtime API that AWS_LAMBDA_RUNTIME_API names, as the function's own\n" +
			"binary does, and ends with the standard input. 'hikyaku dev' starts it; nobody else needs it.",
		Example:   "  hikyaku function tokenrefresh",
		ValidArgs: localstack.Functions(),
		Args:      oneKnown,
		RunE:      func(c *cobra.Command, a []string) error { return beFunction(c, a[0]) },
	}
}

func beFunction(c *cobra.Command, name string) error {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		return &usageError{errors.New("AWS_LAMBDA_RUNTIME_API is not set: 'hikyaku dev' starts its functions itself")}
	}
	signal.Ignore(os.Interrupt) // the terminal's is for the stack, which ends its functions
	context.AfterFunc(c.Context(), func() { os.Exit(0) })
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // the stack is gone, and so is who would read the answer
	}()
	lambdafn.Main(func(ctx context.Context, e lambdafn.Environ) (lambda.Handler, error) {
		now, err := clock.Follow(e.Vars[dev.ClockVariable])
		if err != nil {
			return nil, err
		}
		e.Now, e.HTTP = now, &signed{ownMachine()}
		return compose(ctx, name, e)
	})
	return nil
}

// signed says of which invocation a request to a provider is.
type signed struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (s *signed) RoundTrip(r *http.Request) (*http.Response, error) {
	if id := lambdafn.RequestID(r.Context()); id != "" {
		r = r.Clone(r.Context())
		r.Header.Set(record.Invocation, id)
	}
	return s.Transport.RoundTrip(r)
}

// errElsewhere says why an address is not asked.
const errElsewhere = providers.BlockedError("the stack of 'hikyaku dev' asks this machine alone: a real account takes part by 'hikyaku dev --real PROVIDER', which guards it")

// ownMachine reaches nothing but this machine: what works with a development stack comes to
// a real provider only through the stack's guard.
func ownMachine() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		MaxIdleConns: 100, MaxIdleConnsPerHost: 100, IdleConnTimeout: 90 * time.Second,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if !hostguard.IsLoopback(address) {
				return nil, errElsewhere
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
}
