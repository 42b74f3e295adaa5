package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
)

// compose composes a function as its binary does.
func compose(ctx context.Context, function string, e lambdafn.Environ) (lambda.Handler, error) {
	switch localstack.Command(function) {
	case "tokenrefresh":
		return refreshfn.New(ctx, e)
	case "webhookrelay":
		return relayfn.New(ctx, e)
	}
	return exportfn.New(ctx, e)
}

// invokeFlags are the flags of the invoke command.
type invokeFlags struct {
	event, vars, alias string
	timeout            time.Duration
}

func newInvoke() *cobra.Command {
	var f invokeFlags
	c := &cobra.Command{
		Use:   "invoke FUNCTION --event FILE",
		Short: "Run a function in this process with an event, and print its answer",
		Long: "Composes the function exactly as its Lambda binary does, from the process's environment or from a\n" +
			"file of variables, and invokes it once. The answer goes to standard output, logs and metrics to\n" +
			"standard error. Functions: " + strings.Join(localstack.Functions(), ", ") + ".",
		Example: "  hikyaku sandbox --connected --json > stack.json &\n" +
			"  hikyaku invoke tokenrefresh --alias schedule --event events/tokenrefresh/schedule.json --env-vars stack.json",
		ValidArgs: localstack.Functions(),
		Args:      oneKnown,
		RunE: func(c *cobra.Command, a []string) error {
			return invoke(c, a[0], f)
		},
	}
	c.Flags().StringVar(&f.event, "event", "", "file with the event's JSON; - for standard input")
	c.Flags().StringVar(&f.vars, "env-vars", "", "file with variables, as 'sam local invoke --env-vars' takes it, or what 'sandbox --connected --json' printed; they replace the environment's")
	c.Flags().StringVar(&f.alias, "alias", "", "alias by which the function is to be invoked: "+localstack.TokenRefresh+" has "+strings.Join(localstack.Aliases(localstack.TokenRefresh), ", "))
	c.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "deadline of the invocation")
	return c
}

func invoke(c *cobra.Command, function string, f invokeFlags) error {
	if f.event == "" {
		return &usageError{locale.Errorf("--event FILE is missing; '--event -' reads standard input")}
	}
	event, err := readInput(c, f.event)
	if err != nil {
		return err
	}
	arn := "arn:aws:lambda:local:000000000000:function:" + function
	if f.alias != "" {
		if known := localstack.Aliases(function); !slices.Contains(known, f.alias) {
			return &usageError{locale.Errorf("--alias %s: %s has %s", f.alias, function, cmp.Or(strings.Join(known, ", "), "none"))}
		}
		arn += ":" + f.alias
	}
	e := lambdafn.OSEnviron()
	e.Out = c.ErrOrStderr()
	if f.vars != "" {
		vars, err := readVars(f.vars, function)
		if err != nil {
			return err
		}
		e.Vars = maps.Clone(e.Vars)
		maps.Copy(e.Vars, vars)
	}
	handler, err := compose(c.Context(), function, e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: uuid.NewString(), InvokedFunctionArn: arn})
	answer, err := handler.Invoke(ctx, event)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), string(answer))
	return err
}

func readInput(c *cobra.Command, path string) ([]byte, error) {
	if path == "-" {
		return readAll(c.InOrStdin())
	}
	return os.ReadFile(path) //nolint:gosec // the user names the file
}

// varsFile holds variables by function, in the form of 'sam local invoke' or
// inside the output of 'hikyaku sandbox --connected --json'.
type varsFile struct {
	EnvVars map[string]map[string]string `json:"env_vars"`
}

// readVars finds a function's variables under its own name or its resource's.
func readVars(path, function string) (map[string]string, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	var wrapped varsFile
	if err := json.Unmarshal(raw, &wrapped); err == nil && wrapped.EnvVars != nil {
		raw, _ = json.Marshal(wrapped.EnvVars)
	}
	var byFunction map[string]map[string]string
	if err := json.Unmarshal(raw, &byFunction); err != nil {
		return nil, &usageError{locale.Errorf("--env-vars %s: expected {\"FunctionName\": {\"VARIABLE\": \"value\"}}", path)}
	}
	for _, name := range []string{localstack.Resource(function), function, "Parameters"} {
		if vars, ok := byFunction[name]; ok {
			return vars, nil
		}
	}
	names := slices.Sorted(maps.Keys(byFunction))
	return nil, &usageError{locale.Errorf("--env-vars %s: nothing for %s; it has %s", path, localstack.Resource(function), strings.Join(names, ", "))}
}
