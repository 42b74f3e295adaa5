package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/testscript"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore/s3store"
	"hikyaku/internal/pause"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers/sandbox"
)

// cmdDeployed gives the script's stack its functions, so that its name finds it whole.
func cmdDeployed(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(registerFunctions(ts.Value("ctx").(context.Context), stackOf(ts), "", ""))
}

// boardOf is the switchboard of a local stack.
func boardOf(ctx context.Context, s *localstack.Stack) (switchboard, error) {
	config := aws.Config{
		Region: awslocal.Region, BaseEndpoint: &s.AWS.URL, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}
	found, err := clibase.FindStack(ctx, config, localstack.Name)
	return switchboard{found, s3store.New(config, awslocal.Bucket), localstack.Prefix}, err
}

// offIn are the triggers of a local stack that are off.
func offIn(ctx context.Context, s *localstack.Stack) (off []string, err error) {
	board, err := boardOf(ctx, s)
	if err != nil {
		return nil, err
	}
	byPart, err := board.off(ctx, pause.Parts())
	return flat(byPart), err
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

// A connected stack that is paused takes webhooks, and nothing else happens; resumed, the
// user who came meanwhile is there, once.
func TestPause_NothingIsLost(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, _, err := newStack(ctx)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(registerFunctions(ctx, s, "", ""))
	startFunctions(ctx, s, "", "", io.Discard)
	page := s.SuperSaaS()
	members := func(of int64) (n int) {
		for _, m := range s.Yappli().Members() {
			if m.Values["unique_id"] == fmt.Sprint(of) {
				n++
			}
		}
		return n
	}
	within := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within 20 s", what)
			}
		}
	}
	newcomer := func(name string) int64 {
		return page.AddUser(map[string]any{"name": name + "@mail.example", "email": name + "@mail.example", "full_name": name})
	}
	first := newcomer("first")
	within("a member of the first", func() bool { return members(first) == 1 })

	board, err := boardOf(ctx, s)
	must(err)
	_, err = board.pause(ctx, pause.Parts(), hour())
	must(err)
	invoked := -1
	within("what runs already ends", func() bool {
		before := invoked
		time.Sleep(300 * time.Millisecond)
		invoked = s.AWS.Calls()[invocations]
		return invoked == before
	})
	second := newcomer("second")
	for _, d := range page.Deliveries() {
		if d.Status != http.StatusOK {
			t.Errorf("a webhook was answered %d", d.Status)
		}
	}
	for _, schedule := range []string{localstack.Tick, localstack.Wanted} {
		must(driver{s}.scheduled(schedule, func() error { return errors.New(schedule + " fires during a pause") })())
	}
	fired := errors.New("it fires")
	if err := (driver{s}).scheduled(localstack.Pauses, func() error { return fired })(); !errors.Is(err, fired) {
		t.Error("nobody looks at the pauses")
	}
	time.Sleep(300 * time.Millisecond)
	if now := s.AWS.Calls()[invocations]; now != invoked+1 || members(second) != 0 {
		t.Errorf("%d invocations during the pause, want that of the webhook alone; members %d", now-invoked, members(second))
	}
	_, _, err = board.resume(ctx, pause.Parts())
	must(err)
	within("a member of the second", func() bool { return members(second) == 1 })
}

const invocations = "lambda.Invoke"

// A token that cannot be read is named like one whose end is unknown: a broken stack must
// be possible to stop.
func TestPause_NamesTokensThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s, vars, err := newStack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for provider, document := range map[string]string{
		"yappli":   `{"no token`,
		"actibook": fmt.Sprintf(`{"version":1,"provider":"actibook","kind":"client_credentials","credential":"x","obtained_at":%q,"expires_at":%q}`, now.Add(-time.Hour).Format(time.RFC3339), now.Add(-time.Minute).Format(time.RFC3339)),
		"shopline": fmt.Sprintf(`{"version":1,"provider":"shopline","kind":"client_credentials","credential":"x","obtained_at":%q,"expires_at":%q}`, now.Format(time.RFC3339), now.Add(2*time.Hour).Format(time.RFC3339)),
	} {
		if err := s.AWS.Secrets.Create(t.Context(), secretstore.Name(localstack.Prefix, provider, secretstore.TokenPart), uuid.NewString(), []byte(document)); err != nil {
			t.Fatal(err)
		}
	}
	tokens, err := newStackRefresher(t.Context(), lambdafn.Environ{Vars: vars, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	p := pausing{tokens: tokens}
	said := sayEnding(p.ending(t.Context(), now.Add(time.Hour)), now).String()
	want := fmt.Sprintf("Nobody replaces these tokens meanwhile:\n  yappli: cannot be read; see 'hikyaku tokens'\n  actibook: has ended at %s", now.Add(-time.Minute).UTC().Format(time.RFC3339))
	if said != want {
		t.Errorf("%s\nwant\n%s", said, want)
	}
	if said := sayEnding(nil, now).String(); said != "No token that is stored ends before that." {
		t.Error(said)
	}
}
