package main

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/rogpeppe/go-internal/testscript"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/localstack"
	"hikyaku/internal/pause"
	"hikyaku/pkg/providers/sandbox"
)

// cmdDeployed gives the script's stack its functions, so that its name finds it whole.
func cmdDeployed(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(registerFunctions(ts.Value("ctx").(context.Context), stackOf(ts), "", ""))
}

// offIn are the triggers of a local stack that are off.
func offIn(ctx context.Context, s *localstack.Stack) (off []string, err error) {
	found, err := clibase.FindStack(ctx, aws.Config{
		Region: awslocal.Region, BaseEndpoint: &s.AWS.URL, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}, localstack.Name)
	if err != nil {
		return nil, err
	}
	board := switchboard{stack: found}
	for _, part := range pause.Parts() {
		for _, name := range triggersOf[part] {
			on, err := board.enabled(ctx, name)
			if err != nil {
				return nil, err
			}
			if !on {
				off = append(off, name)
			}
		}
	}
	return off, nil
}

// cmdOff compares which triggers are off: "off", "off ExportLoopNightly".
func cmdOff(ts *testscript.TestScript, _ bool, want []string) {
	off, err := offIn(context.Background(), stackOf(ts))
	ts.Check(err)
	if !slices.Equal(off, want) {
		ts.Fatalf("off are [%s], want %s", strings.Join(off, " "), want)
	}
}

// cmdFaults makes an operation of AWS fail until further notice, or none:
// "faults scheduler.UpdateSchedule 5xx", "faults".
func cmdFaults(ts *testscript.TestScript, _ bool, a []string) {
	stackOf(ts).AWS.ClearFaults()
	if len(a) == 2 {
		stackOf(ts).AWS.Inject(sandbox.Fault{Kind: sandbox.FaultKind(a[1]), Route: a[0], Times: -1})
	}
}
