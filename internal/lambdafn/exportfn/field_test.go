package exportfn

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// The tests named TestField_... re-enact what went wrong elsewhere, one test a
// section of the field cases and one subtest a row, with the row's own input:
// a server that speaks the provider's API and misbehaves as the row says, the
// export as it is run in production, and what readers then find in the store.

// A field is a stack one of whose datasets is served by a faulty server, in
// virtual time. The server is the provider's sandbox behind answer, or serves
// rows in the provider's wire format. Requests come one at a time to both.
type field struct {
	*stack

	dataset string
	// answer is the answer to the n-th request for a list, from 0; nil: the
	// true one.
	answer func(n int, r *http.Request) *http.Response
	// rows is the list as the n-th request for it finds it; nil: the sandbox's.
	rows func(n int, q url.Values) []string

	warm    *Function // of all calls; nil: the first one starts it
	mu      sync.Mutex
	queries []url.Values // of the requests for lists
}

// inField runs a test of a dataset whose sandbox holds so many records, on the
// morning of 22 November.
func inField(t *testing.T, dataset string, records int, test func(f *field)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		time.Sleep(time.Until(time.Date(2026, 11, 22, 0, 31, 0, 0, time.UTC)))
		f := &field{stack: newStackOf(t, records, time.Now), dataset: dataset}
		f.way = f
		delete(f.vars, "HIKYAKU_EXPORT_PAGE_SIZE")
		for _, name := range []string{"YAPPLI", "SUPERSAAS", "SHOPLINE", "ASSISTTENCHO"} {
			f.vars["HIKYAKU_"+name+"_RATE"] = "20"
		}
		test(f)
	})
}

// holds makes the list one of so many records, which stand still.
func (f *field) holds(records int) []string {
	all := recordsOf(f.dataset, records)
	f.rows = func(_ int, q url.Values) []string {
		if f.dataset == "shopline/orders" && !q.Has("updated_before") {
			return nil // none was shipped
		}
		return all
	}
	return all
}

// connectAssist connects Assist with other quirks.
func (f *field) connectAssist(quirks string) {
	f.Helper()
	token := f.assist.Token("http://assist.test")
	token.Quirks = json.RawMessage(quirks)
	f.secrets = &secretstore.Memory{}
	f.connect(token)
}

// RoundTrip answers a request.
func (f *field) RoundTrip(r *http.Request) (*http.Response, error) {
	if !isList(r.URL.Path) {
		return f.stack.RoundTrip(r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, q := len(f.queries), r.URL.Query()
	f.queries = append(f.queries, q)
	if f.answer != nil {
		if response := f.answer(n, r); response != nil {
			return response, nil
		}
	}
	if f.rows != nil {
		return says(http.StatusOK, f.truth(n, r)), nil
	}
	return f.stack.RoundTrip(r)
}

// isList reports whether a path is that of a list of records.
func isList(path string) bool {
	for _, end := range []string{"/users", "/users.json", "/customers", "/orders", "/orders/search", "/orders.php"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return strings.Contains(path, "/api/range/")
}

// truth is the true answer to the n-th request for a list, as text.
func (f *field) truth(n int, r *http.Request) string {
	f.Helper()
	if f.rows != nil {
		q := r.URL.Query()
		return wire(f.dataset, f.rows(n, q), q)
	}
	response, err := f.stack.RoundTrip(r)
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.Fatal(err)
	}
	return string(body)
}

// says makes an answer.
func says(status int, body string) *http.Response {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.WriteString(body)
	return w.Result()
}

// wire is the answer of a provider whose list has these rows, as its documents
// show it. SHOPLINE answers a previous_id that is in no row with an empty list.
func wire(dataset string, rows []string, q url.Values) string {
	number := func(name string, fallback int) int {
		n, err := strconv.Atoi(q.Get(name))
		if err != nil {
			return fallback
		}
		return n
	}
	total, start := len(rows), 0
	var size int
	switch dataset {
	case "yappli/users", "assisttencho/orders":
		start, size = number("offset", 0), number("limit", 50)
	case "supersaas/users":
		start, size = number("offset", 0), number("limit", 100)
	default:
		rows = updatedWithin(rows, q)
		total, size = len(rows), number("per_page", 24)
		if after := q.Get("previous_id"); after != "" {
			i := slices.IndexFunc(rows, func(row string) bool { return strings.HasPrefix(row, `{"id":"`+after+`"`) })
			if start = i + 1; i < 0 {
				start = total
			}
		}
	}
	page := rows[min(start, total):min(start+size, total)]
	switch list := strings.Join(page, ","); dataset {
	case "yappli/users":
		if list != "" {
			list = `{"member":` + strings.Join(page, `},{"member":`) + `}`
		}
		return `{"members":[` + list + `]}`
	case "supersaas/users":
		return `[` + list + `]`
	case "assisttencho/orders":
		return `{"orders":[` + list + `]}`
	default:
		return fmt.Sprintf(`{"items":[%s],"pagination":{"current_page":1,"per_page":%d,"total_pages":%d,"total_count":%d}}`, list, size, (total+size-1)/size, total)
	}
}

// updatedWithin returns the records that SHOPLINE's parameters select. One whose
// time cannot be read is always selected.
func updatedWithin(rows []string, q url.Values) []string {
	after, afterErr := time.Parse(time.DateTime, q.Get("updated_after"))
	before, beforeErr := time.Parse(time.DateTime, q.Get("updated_before"))
	return slices.DeleteFunc(slices.Clone(rows), func(row string) bool {
		_, text, _ := strings.Cut(row, `"updated_at":"`)
		text, _, _ = strings.Cut(text, `"`)
		at, err := time.Parse(time.RFC3339, text)
		return err == nil && (afterErr == nil && at.Before(after) || beforeErr == nil && at.After(before))
	})
}

// idIn returns a record's id; empty if it has none.
func idIn(row string) string {
	var fields struct {
		ID     providers.Text `json:"id"`
		Serial providers.Text `json:"serial_order_id"`
	}
	_ = json.Unmarshal([]byte(row), &fields)
	return string(cmp.Or(fields.ID, fields.Serial))
}

// An outcome is what readers find of a run.
type outcome struct {
	export.Manifest

	lines   []string
	rejects []rejected
	latest  string // run that latest.json names
	covered string // time up to which the watermark covers the dataset
}

// A rejected is what a line of the rejects says.
type rejected struct {
	Place      int
	ID, Reason string
}

// lambda is a function's life, as template.yaml has it at most.
const lambda = 15 * time.Minute

// run brings the run of n days after the first to its end, as the state machine
// does, and repeats a call that fails so many times.
func (f *field) run(day, failures int) (outcome, error) {
	f.Helper()
	due := time.Date(2026, 11, 22+day, 0, 30, 0, 0, time.UTC)
	time.Sleep(time.Until(due))
	return f.export(fmt.Sprintf(`{"action":"extract","dataset":%q,"scheduled_time":%q}`, f.dataset, due.Format(time.RFC3339)), failures)
}

// export brings the run of an event to its end.
func (f *field) export(event string, failures int) (outcome, error) {
	f.Helper()
	if f.warm == nil {
		f.warm = f.function()
	}
	for range 10_000 {
		ctx, cancel := context.WithTimeout(f.Context(), lambda)
		a, err := f.invokeWarm(ctx, f.warm, []byte(event))
		cancel()
		switch {
		case err != nil && failures == 0:
			return f.found(""), err
		case err != nil:
			failures--
			time.Sleep(30 * time.Second)
		case a.Status == export.Busy:
			time.Sleep(time.Until(*a.Until))
		case a.Status == export.Done || a.Status == export.Doubtful:
			return f.found(cmp.Or(a.Manifest, a.Doubt)), nil
		}
	}
	f.Fatal("the run never ends")
	return outcome{}, nil
}

// must is run without a call that fails.
func (f *field) must(day int) outcome {
	f.Helper()
	o, err := f.run(day, 0)
	if err != nil {
		f.Fatal(err)
	}
	return o
}

// found reads what lies in the store of a run, and what the pointers say.
func (f *field) found(manifest string) outcome {
	f.Helper()
	var o outcome
	if manifest != "" {
		o.lines = f.lines(manifest)
		o.Manifest = f.manifest(manifest)
		for _, p := range o.Parts {
			for line := range strings.Lines(f.stored(p.RejectsKey)) {
				var one rejected
				if err := json.Unmarshal([]byte(line), &one); err != nil {
					f.Fatal(err)
				}
				o.rejects = append(o.rejects, one)
			}
		}
	}
	var latest struct{ Data export.Pointer }
	f.decode("shop/exports/"+f.dataset+"/latest.json", &latest)
	var mark struct{ Data struct{ To time.Time } }
	f.decode("shop/state/export/"+f.dataset+"/watermark.json", &mark)
	o.latest = latest.Data.Run
	if !mark.Data.To.IsZero() {
		o.covered = mark.Data.To.Format(time.RFC3339)
	}
	return o
}

func (f *field) manifest(key string) export.Manifest {
	f.Helper()
	m, err := export.ReadManifest(f.Context(), f.objects, key)
	if err != nil {
		f.Fatal(err)
	}
	return m
}

// stored returns an object's text; empty if there is none.
func (f *field) stored(key string) string {
	f.Helper()
	if key == "" {
		return ""
	}
	_, body, err := f.objects.Get(f.Context(), key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return ""
	}
	if err != nil {
		f.Fatal(err)
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		f.Fatal(err)
	}
	return string(raw)
}

// decode reads an object into v, unless it is absent.
func (f *field) decode(key string, v any) {
	f.Helper()
	text := f.stored(key)
	if text == "" {
		return
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		f.Fatal(key, err)
	}
}

// isComplete fails the test unless a run holds these rows, each once and
// nothing else, and readers are led to it.
func (f *field) isComplete(o outcome, want []string) {
	f.Helper()
	if o.State != export.Complete || len(o.rejects) > 0 || o.Rejects > 0 || !same(o.lines, want) {
		f.Errorf("%s %q with %d rows and %d rejects, %v; want complete with all %d", o.Run, o.State, len(o.lines), o.Rejects, o.Doubts, len(want))
	}
	f.isPublished(o)
}

// isPublished fails the test unless the pointers name a run.
func (f *field) isPublished(o outcome) {
	f.Helper()
	if o.latest != o.Run {
		f.Errorf("latest.json names %q, want %q", o.latest, o.Run)
	}
	if d, err := export.FindDataset(f.dataset); err != nil || d.Incremental && o.covered != o.Window.To.Format(time.RFC3339) {
		f.Errorf("the watermark is at %q, the window ends at %v (%v)", o.covered, o.Window.To, err)
	}
}

// isCompleteOrDoubted fails the test unless a run holds all rows, or says that
// it may not and moves no pointer. It holds no row twice in either case.
func (f *field) isCompleteOrDoubted(o outcome, want []string) {
	f.Helper()
	if o.State == export.Complete {
		f.isComplete(o, want)
		return
	}
	f.isDoubted(o)
}

// isDoubted fails the test unless a run is in doubt, is not pointed to, and
// holds no row twice.
func (f *field) isDoubted(o outcome) {
	f.Helper()
	ids := map[string]int{}
	for _, line := range o.lines {
		if ids[idIn(line)]++; ids[idIn(line)] == 2 {
			f.Errorf("%s twice", idIn(line))
		}
	}
	if o.State != export.InDoubt || len(o.Doubts) == 0 || o.latest == o.Run || o.covered != "" {
		f.Errorf("%s %q with %d rows, doubts %v, latest %q, covered until %q; want doubt, and no pointer", o.Run, o.State, len(o.lines), o.Doubts, o.latest, o.covered)
	}
}

// isNowhere fails the test unless a run that failed has moved no pointer.
func (f *field) isNowhere(o outcome, err error, names ...string) {
	f.Helper()
	if err == nil || o.latest != "" || o.covered != "" {
		f.Errorf("%v, latest %q, covered until %q; want a failure, and no pointer", err, o.latest, o.covered)
	}
	for _, name := range names {
		if err != nil && !strings.Contains(err.Error(), name) {
			f.Errorf("the failure does not say %q: %v", name, err)
		}
	}
}
