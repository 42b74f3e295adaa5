package provetokens

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const (
	hookSecret = "local-webhook-secret-000000000000" // of the files in events/
	hashKey    = "local-hashing-key-0000000000000000"
)

// A reader is a function that reads secrets.
type reader struct {
	name    string
	vars    map[string]string
	compose func(context.Context, lambdafn.Environ) (lambda.Handler, error)
	event   func(n int) []byte // of its n-th invocation
	every   time.Duration      // between two
}

// newReaders connects everything and returns each function that reads.
func newReaders(g *rig) []reader {
	g.t.Helper()
	for _, name := range providers.Names() {
		g.connect("shop", g.sandboxes[name].Connection(base(name)))
	}
	if _, err := invoke(g.t.Context(), g.refresher("shop", io.Discard), schedule); err != nil {
		g.t.Fatal(err)
	}
	for name, value := range map[string]string{"shop/supersaas/webhook": `{"current":"` + hookSecret + `"}`, "shop/export/hmac": `{"key":"` + hashKey + `"}`} {
		if err := g.aws.Secrets.Create(g.t.Context(), name, uuid.NewString(), []byte(value)); err != nil {
			g.t.Fatal(err)
		}
	}
	dead, err := g.aws.CreateQueue("dead.fifo", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	queue, err := g.aws.CreateQueue("users.fifo", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	relay := map[string]string{
		"HIKYAKU_QUEUE_URL": queue, "HIKYAKU_DEAD_LETTER_QUEUE_URL": dead, "HIKYAKU_RELAY": "write", "HIKYAKU_ID_IS_UNIQUE_ID": "yes",
		"HIKYAKU_MAPPING_FILE": filepath.Join("..", "..", "config", "mapping.yaml"),
	}
	role := func(name string) map[string]string {
		v := maps.Clone(relay)
		v["HIKYAKU_ROLE"] = name
		return v
	}
	asRelay := func(ctx context.Context, e lambdafn.Environ) (lambda.Handler, error) { return relayfn.New(ctx, e) }
	page := g.sandboxes[providers.SuperSaaS].(*supersaastest.Server) //nolint:forcetypeassert // NewSandbox made it
	user := page.UserIDs()[0]
	message := bytes.ReplaceAll(eventFile(g.t, "webhookrelayrelay/user-change.json"), []byte("20450001"), []byte(strconv.FormatInt(user, 10)))
	changed := func(n int) []byte { // so that there is something to write
		page.Quiet().ChangeUser(user, map[string]any{"mobile": fmt.Sprintf("080-0000-%04d", n%10000)})
		return message
	}
	hook := eventFile(g.t, "webhookrelayingest/user-change.json")
	return []reader{
		{"ingest", role("ingest"), asRelay, func(int) []byte { return hook }, 10 * time.Second},
		{"reconcile", role("reconcile"), asRelay, func(int) []byte { return []byte(`{"action":"reconcile"}`) }, time.Minute},
		{"relay", role("relay"), asRelay, changed, 10 * time.Second},
		{
			"export", map[string]string{"HIKYAKU_EXPORT_HASH": "yappli/users:unique_id"},
			func(ctx context.Context, e lambdafn.Environ) (lambda.Handler, error) { return exportfn.New(ctx, e) },
			func(int) []byte {
				return fmt.Appendf(nil, `{"action":"extract","scheduled_time":%q}`, time.Now().UTC().Format(time.RFC3339))
			}, time.Minute,
		},
		{
			localstack.TokenRefresh, nil,
			func(ctx context.Context, e lambdafn.Environ) (lambda.Handler, error) { return refreshfn.New(ctx, e) },
			func(int) []byte { return schedule }, templateCadence(g.t).tick,
		},
	}
}

// eventFile is one of the events that the repository ships.
func eventFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "events", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// start composes a reader as its binary does.
func (r reader) start(g *rig) lambda.Handler {
	g.t.Helper()
	e := g.environ("shop", io.Discard)
	maps.Copy(e.Vars, r.vars)
	f, err := r.compose(g.t.Context(), e)
	if err != nil {
		g.t.Fatal(err)
	}
	return f
}

// most is the largest count of reads of one secret under one stage.
func most(before, after map[secretstore.Call]int) (n int, of secretstore.Call) {
	for call, times := range after {
		if made := times - before[call]; call.Op == secretstore.OpGet && made > n {
			n, of = made, call
		}
	}
	return n, of
}

// TestProveReads counts what a warm process reads in a virtual hour, and how
// long it takes to use a changed value.
func TestProveReads(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, sandbox.Options{Seed: seed(), Records: 10, Rate: -1}, awslocal.Options{})
		defer func() { _ = g.aws.Close() }()
		hour := time.Duration(size(60, 10)) * time.Minute
		bar := int(hour / (5 * time.Minute))
		for _, r := range newReaders(g) {
			f := r.start(g)
			before, n, failed := map[secretstore.Call]int(nil), 0, 0
			for began := time.Now(); time.Since(began) < hour; n++ {
				if _, err := invoke(t.Context(), f, r.event(n)); err != nil {
					failed++
					t.Logf("%s: %v", r.name, err)
				}
				if n == 0 { // warm from here on
					before, began = g.aws.Secrets.Calls(), time.Now()
				}
				time.Sleep(r.every)
			}
			reads, of := most(before, g.aws.Secrets.Calls())
			figure(t, reads <= bar && failed == 0, "reads of one secret and stage by a warm "+r.name, fmt.Sprintf("%d in %d minutes", bar, int(hour.Minutes())),
				"%d in %d invocations, of %s %s", reads, n, of.Name, of.Stage)
			until := g.untilUsed
			if r.name == localstack.TokenRefresh {
				until = g.untilConnected
			}
			took := until(r, f)
			figure(t, took <= 5*time.Minute, "a changed value in use by a warm "+r.name, "300 s", "%.0f s", took.Seconds())
		}
	})
}

// untilUsed changes what a warm process works with, at the worst moment: just
// after it has read it. It returns the time until the new value is used, less
// that of the invocation which was under way when the old one ended.
func (g *rig) untilUsed(r reader, f lambda.Handler) time.Duration {
	g.t.Helper()
	const other = "another-webhook-secret-0000000000"
	token := g.sandboxes[providers.Yappli].(*yapplitest.Server).Token(base(providers.Yappli)) //nolint:forcetypeassert // NewSandbox made it
	name, document, event := "shop/yappli/token", token.Document(), r.event
	if r.name == "ingest" {
		name, document = "shop/supersaas/webhook", []byte(`{"current":"`+other+`"}`)
		event = func(n int) []byte { return bytes.ReplaceAll(r.event(n), []byte(hookSecret), []byte(other)) }
	}
	var used atomic.Bool
	g.before = func(_ string, request *http.Request) {
		if request.Header.Get("Authorization") == "Bearer "+token.Credential.Reveal() {
			used.Store(true)
		}
	}
	defer func() { g.before = nil }()
	read := secretstore.Call{Op: secretstore.OpGet, Name: name, Stage: secretstore.Current}
	for n, seen := 5000, g.aws.Secrets.Calls()[read]; g.aws.Secrets.Calls()[read] == seen; n++ {
		_, _ = invoke(g.t.Context(), f, r.event(n))
		time.Sleep(time.Second)
	}
	put(g.t, g.aws.Secrets, name, document)
	began, longest := time.Now(), time.Duration(0)
	for n := 6000; time.Since(began) < time.Hour; n++ {
		at := time.Now()
		answer, err := invoke(g.t.Context(), f, event(n))
		if used.Load() || r.name == "ingest" && err == nil && bytes.Contains(answer, []byte(`"statusCode":200`)) {
			return max(time.Since(began)-longest-time.Second, 0)
		}
		longest = max(longest, time.Since(at))
		time.Sleep(time.Second)
	}
	return time.Hour
}

// untilConnected changes a connection just after a tick that read it, and
// returns the time until the callers' token is made of it.
func (g *rig) untilConnected(r reader, f lambda.Handler) time.Duration {
	g.t.Helper()
	read := secretstore.Call{Op: secretstore.OpGet, Name: "shop/yappli/connection", Stage: secretstore.Current}
	for seen := g.aws.Secrets.Calls()[read]; g.aws.Secrets.Calls()[read] == seen; {
		time.Sleep(r.every)
		_, _ = invoke(g.t.Context(), f, r.event(0))
	}
	before, err := served(g.t, g.aws.Secrets, "shop", providers.Yappli)
	if err != nil {
		g.t.Fatal(err)
	}
	put(g.t, g.aws.Secrets, read.Name, g.sandboxes[providers.Yappli].Connection(base(providers.Yappli)).Document())
	for began := time.Now(); time.Since(began) < time.Hour; {
		time.Sleep(r.every)
		_, _ = invoke(g.t.Context(), f, r.event(0))
		if now, err := served(g.t, g.aws.Secrets, "shop", providers.Yappli); err == nil && now.Version != before.Version {
			return time.Since(began)
		}
	}
	return time.Hour
}

// put is a person who stores another value.
func put(t *testing.T, s secretstore.Store, name string, document []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, uuid.NewString(), document, secretstore.Current); err != nil {
		t.Fatal(err)
	}
}

// TestProveReads_WithoutTheCache starts a process for each invocation.
func TestProveReads_WithoutTheCache(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, sandbox.Options{Seed: seed(), Records: 10, Rate: -1}, awslocal.Options{})
		defer func() { _ = g.aws.Close() }()
		const minutes = 6
		for _, r := range newReaders(g) {
			before := g.aws.Secrets.Calls()
			for n := range int(minutes * time.Minute / r.every) {
				if _, err := invoke(t.Context(), r.start(g), r.event(n)); err != nil {
					t.Errorf("%s: %v", r.name, err)
				}
				time.Sleep(r.every)
			}
			reads, _ := most(before, g.aws.Secrets.Calls())
			figure(t, reads > minutes/5, "guard removed: no warm process, reads by "+r.name, fmt.Sprintf("must be more than %d in %d minutes", minutes/5, minutes), "%d", reads)
		}
	})
}
