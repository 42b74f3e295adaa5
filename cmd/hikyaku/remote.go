package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
)

// A remote is the stack's own token refresher, which calls the providers from the
// stack's address. It is reached by the alias that is people's alone.
type remote struct {
	stack *clibase.Stack
	logs  io.Writer // gets the end of its log; nil: nobody does
}

// remoteTime bounds a question. It outlives the function.
var remoteTime = localstack.Timeout(localstack.TokenRefresh) + 30*time.Second

func remoteFlag(flags *pflag.FlagSet, on *bool) {
	flags.BoolVar(on, "remote", false, "let the deployed function call the providers, from the stack's address; needs --stack")
}

// ofRemote is an error where no stack is named that could be asked.
func (f *stackFlags) ofRemote() error {
	if f.name("") == "" {
		return &usageError{locale.Errorf("--remote asks a deployed function: name its stack with --stack NAME (HIKYAKU_STACK)")}
	}
	return nil
}

// ask has the function do an operation. The question is not repeated by itself: what a
// first one did is not known then.
func (r *remote) ask(ctx context.Context, o refreshfn.Operation) (answer refreshfn.Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, remoteTime)
	defer cancel()
	payload, err := json.Marshal(o)
	if err != nil {
		return answer, err
	}
	raw, log, err := r.stack.Invoke(ctx, localstack.Resource(localstack.TokenRefresh), localstack.Operator, payload, r.logs != nil)
	if r.logs != nil {
		_, _ = fmt.Fprintf(r.logs, "%s\n", bytes.TrimSuffix(log, []byte("\n"))) // what follows begins a line of its own
	}
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(raw, &answer); err != nil || !answer.Answers(o) {
		return answer, locale.Errorf("the function's answer is not of this version: deploy the stack with the version of this command, or use the command of the stack's")
	}
	return answer, nil
}

// connect has the function try a candidate and make it the connection. An error says
// whether it did.
func (r *remote) connect(ctx context.Context, base *lambdafn.Base, provider string, c tokenrefresh.Candidate) (refreshfn.Answer, error) {
	answer, err := r.ask(ctx, refreshfn.Operation{Name: refreshfn.Connect, Provider: provider, Version: c.Version, Base: c.Base})
	if err == nil {
		return answer, nil
	}
	if ctx.Err() != nil {
		err = stoppedError("stopped while the function was at work")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	stored, readErr := base.Secrets.GetVersion(ctx, connectionName(base, provider), c.Version)
	switch {
	case readErr != nil:
		err = locale.Errorf("%w; whether it is stored cannot be read: %w", err, readErr)
	case stored.Has(secretstore.Current):
		err = locale.Errorf("%w; it is stored all the same, and the function goes on with it %s: look with 'hikyaku tokens' before you run this again", err, tokenFollows)
	default:
		err = locale.Errorf("%w; the connection is still the one before. Run the command again", err)
	}
	return answer, err
}
