package proveexport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
)

// A world is one account, the export of it, and a model of what it holds, in
// virtual time.
type world struct {
	*rig

	account *account
	dataset string
	model   *model
	way     http.RoundTripper // to the account
	aws     *awslocal.AWS
	handler *exportfn.Function
	cold    bool
	timeout time.Duration
	calls   int
	reason  string // why a call failed last
	tell    func(format string, args ...any)
	// bound is told how a call is ended from outside, and spent reports that
	// the run has been.
	bound func(context.CancelFunc)
	spent func() bool
}

// doubtful is the status of a run that ended in doubt.
const (
	doubtful export.Status = "doubt"
	failed   export.Status = "failed" // the state machine gave up
)

func newWorld(t testing.TB, a *account, dataset string, way http.RoundTripper) *world {
	t.Helper()
	local, err := awslocal.New(awslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret := secretstore.Name(localstack.Prefix, a.token.Provider, secretstore.TokenPart)
	if err := local.Secrets.Create(t.Context(), secret, uuid.NewString(), a.token.Document()); err != nil {
		t.Fatal(err)
	}
	w := &world{account: a, dataset: dataset, way: way, aws: local, timeout: loop.call, tell: func(string, ...any) {},
		bound: func(context.CancelFunc) {}, spent: func() bool { return false }}
	w.rig = &rig{TB: t, vars: map[string]string{
		"HIKYAKU_PREFIX": localstack.Prefix, "HIKYAKU_BUCKET": awslocal.Bucket, "AWS_REGION": awslocal.Region,
		"AWS_ENDPOINT_URL": "http://aws.local", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"HIKYAKU_EXPORT_COMPRESSION": "none",
	}}
	maps.Copy(w.vars, a.vars)
	base, err := clibase.Open(lambdafn.Environ{Vars: w.vars, Out: io.Discard, AWS: local.Client().Transport})
	if err != nil {
		t.Fatal(err)
	}
	w.store = base.Objects
	w.model = newModel(a)
	return w
}

func (w *world) close() { _ = w.aws.Close() }

// call invokes the export once, as Lambda does.
func (w *world) call(event string) (export.Answer, error) {
	w.Helper()
	if w.handler == nil || w.cold {
		f, err := exportfn.New(w.Context(), lambdafn.Environ{Vars: w.vars, Out: io.Discard, AWS: w.aws.Client().Transport, HTTP: w.way})
		if err != nil {
			w.Fatal(err)
		}
		w.handler = f
	}
	ctx, cancel := context.WithTimeout(w.Context(), w.timeout)
	defer cancel()
	w.bound(cancel)
	var a export.Answer
	raw, err := w.handler.Invoke(ctx, []byte(event))
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	if a.Status == doubtful {
		_, doubts, _ := strings.Cut(string(raw), `"doubts":`)
		w.reason = doubts[:min(len(doubts), 300)]
	}
	return a, err
}

// A machine is the template's state machine of exports: how often and how long
// it calls, and how it repeats a call that failed.
type machine struct {
	call, whole time.Duration // of a call, of a run
	first, most time.Duration // between calls that failed
	rate        float64       // by which the waits grow
	retries     int           // after the first call that failed
}

// loop is read once: a bubble of virtual time reads no files.
var loop machine

func readLoop(t testing.TB) {
	t.Helper()
	template := prove.ReadTemplate(t, "../..")
	definition := []string{"Resources", "ExportLoop", "Properties", "Definition"}
	number := func(keys ...string) time.Duration {
		return time.Duration(template.Number(t, append(slices.Clone(definition), keys...)...)) * time.Second
	}
	retry, _ := template.At(append(definition, "States", "Datasets", "ItemProcessor", "States", "Call", "Retry")...).([]any)
	if len(retry) != 1 {
		t.Fatalf("template.yaml: %d ways to repeat a call; one is expected", len(retry))
	}
	once, _ := retry[0].(map[string]any)
	seconds := func(name string) float64 {
		n, err := strconv.ParseFloat(fmt.Sprint(once[name]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	loop = machine{
		call:  time.Duration(template.Number(t, "Resources", localstack.Resource(localstack.Export), "Properties", "Timeout")) * time.Second,
		whole: number("TimeoutSeconds"), first: time.Duration(seconds("IntervalSeconds")) * time.Second,
		most: time.Duration(seconds("MaxDelaySeconds")) * time.Second, rate: seconds("BackoffRate"), retries: int(seconds("MaxAttempts")),
	}
}

// export brings the run of a scheduled time to its end, as the state machine
// does. failed is no status of the export: it is what the machine says after
// the last call that failed.
func (w *world) export(event string) export.Answer {
	w.Helper()
	began := time.Now()
	failures, wait := 0, loop.first
	w.model.begin()
	for calls := 0; time.Since(began) < loop.whole && calls < 400; calls++ {
		w.calls++
		a, err := w.call(event)
		if w.spent() {
			w.reason = "it asks without end"
			return export.Answer{Status: failed}
		}
		if err != nil {
			w.reason = err.Error()
			w.tell("call failed: %v", err)
			if failures++; failures > loop.retries {
				return export.Answer{Status: failed}
			}
			time.Sleep(wait)
			wait = min(time.Duration(float64(wait)*loop.rate), loop.most)
			continue
		}
		w.tell("answer %s, %d rows, %d rejects", a.Status, a.Rows, a.Rejects)
		failures, wait = 0, loop.first
		switch a.Status {
		case export.Continue:
		case export.Busy:
			if a.Until == nil {
				w.Fatal("busy without until")
			}
			time.Sleep(max(time.Until(*a.Until), time.Second))
		default:
			return a
		}
	}
	w.reason = "it never ends"
	return export.Answer{Status: failed}
}

// night returns the event of the scheduled run of a night, and sleeps until it
// is due.
func (w *world) night(n int) string {
	due := at(24 * 60 * n)
	if d := time.Until(due); d > 0 {
		time.Sleep(d)
	}
	return event(w.dataset, 24*60*n)
}

// pointers are all that tells readers and later runs what is published.
type pointers map[string]string

func (w *world) pointers() pointers {
	w.Helper()
	all := pointers{}
	keys := []string{
		localstack.Prefix + "/exports/" + w.dataset + "/latest.json",
		localstack.Prefix + "/state/export/" + w.dataset + "/watermark.json",
	}
	for info, err := range w.store.List(w.Context(), localstack.Prefix+"/athena/"+w.dataset+"/", "") {
		if err != nil {
			w.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	for _, key := range keys {
		_, body, err := w.store.Get(w.Context(), key)
		if errors.Is(err, objectstore.ErrNotFound) {
			continue
		}
		if err != nil {
			w.Fatal(err)
		}
		raw, _ := io.ReadAll(body)
		_ = body.Close()
		all[key] = string(raw)
	}
	return all
}

// pointsTo returns what is wrong with the pointers: each must name complete
// runs only.
func (w *world) pointsTo(p pointers) (wrong []string) {
	complete := func(folder string) bool {
		_, err := w.store.Head(w.Context(), folder+"_manifest.json")
		return err == nil
	}
	for key, text := range p {
		switch {
		case strings.HasSuffix(key, "latest.json"):
			var latest struct{ Data export.Pointer }
			if json.Unmarshal([]byte(text), &latest) != nil || !complete(strings.TrimSuffix(latest.Data.Manifest, "_manifest.json")) {
				wrong = append(wrong, "latest.json names "+latest.Data.Manifest)
			}
		case strings.HasSuffix(key, "symlink.txt"):
			for line := range strings.Lines(text) {
				part := strings.TrimPrefix(strings.TrimSpace(line), "s3://"+awslocal.Bucket+"/")
				if !complete(part[:strings.LastIndex(part, "/")+1]) {
					wrong = append(wrong, "symlink.txt names "+part)
				}
			}
		default:
			var mark struct {
				Data struct {
					To  time.Time
					Run string
				}
			}
			_ = json.Unmarshal([]byte(text), &mark)
			if !w.covered(mark.Data.To) {
				wrong = append(wrong, fmt.Sprintf("the watermark stands at %v, to which no complete run reaches", mark.Data.To))
			}
		}
	}
	return wrong
}

// covered reports whether a complete run reaches to a time.
func (w *world) covered(to time.Time) bool {
	for info, err := range w.store.List(w.Context(), localstack.Prefix+"/exports/"+w.dataset+"/", "") {
		if err != nil {
			w.Fatal(err)
		}
		if !strings.HasSuffix(info.Key, "/_manifest.json") {
			continue
		}
		if m, err := export.ReadManifest(w.Context(), w.store, info.Key); err == nil && !m.Window.To.Before(to) {
			return true
		}
	}
	return false
}

// rejected counts the lines of all rejects that were ever stored.
func (w *world) rejected() (n int) {
	for info, err := range w.store.List(w.Context(), localstack.Prefix+"/rejects/", "") {
		if err != nil {
			w.Fatal(err)
		}
		n += strings.Count(string(w.object(info.Key)), "\n")
	}
	return n
}

// touch changes most records, each at a time of its own, so that the window of
// the next run holds them.
func (w *world) touch(chance *rand.Rand, n int) {
	for range n {
		time.Sleep(time.Minute)
		w.account.change(chance)
	}
	w.model.look()
}
