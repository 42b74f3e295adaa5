package console_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/console"
	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
)

const (
	runFolder = "shop/exports/yappli/users/dt=2026-11-22/run=20261122T003000Z/"
	runAt     = "/exports/yappli/users/20261122T003000Z"
	ofRun     = `"dataset":"yappli/users","run":"20261122T003000Z","dt":"2026-11-22","parts":2,"rows":300,"rejects":1,"drift":{"shifts":3,"unresolved":1}`
	doubts    = `"doubts":[{"kind":"shrunk","detail":"<script>alert(1)</script> fewer"}]`
)

// exportsOf is a stack with a run of yappli/users, whose records lie in a bucket.
func exportsOf(t *testing.T, state string, rows int) (map[string]string, *objectstore.Memory) {
	t.Helper()
	store := &objectstore.Memory{}
	put := func(key string, body []byte) {
		if _, err := store.Put(t.Context(), objectstore.Object{Key: key, Body: bytes.NewReader(body), Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
	}
	m := export.Manifest{Format: export.Format, State: export.State(state), Provider: "yappli", Dataset: "users", Run: "20261122T003000Z", DT: "2026-11-22", Rows: rows, Bytes: 5e6}
	m.Observed.Seconds, m.Observed.Requests, m.Observed.RateLimited = 2, 40, 7
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	for i := range rows {
		_, _ = fmt.Fprintf(z, `{"id":"%d","name":"customer %d\r<b>","mail":"u%d@mail.example"}`+"\n", i, i, i)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	m.Parts = []export.Part{{Key: runFolder + "part-00000.jsonl.gz", Rows: rows, Bytes: 5e6, StoredBytes: int64(zipped.Len()), Rejects: 1, RejectsKey: "shop/rejects/part-00000.jsonl"}}
	put(m.Parts[0].Key, zipped.Bytes())
	put(m.Parts[0].RejectsKey, []byte("{}\n"))
	put("shop/yappli/secret", []byte("canary"))
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	name := map[bool]string{true: "_doubt.json", false: "_manifest.json"}[state == "in doubt"]
	put(runFolder+name, raw)
	key := map[bool]string{true: `"doubt"`, false: `"manifest"`}[state == "in doubt"] + `:"` + runFolder + name + `"`
	printed := map[string]string{
		"doctor": healthy["doctor"], "tokens": healthy["tokens"], "pause": `{"paused":{}}`, "runs": `{"runs":[]}`,
		"runs yappli/users --since": `{"runs":[{"state":"expired","dataset":"yappli/users","run":"20261120T003000Z","dt":"2026-11-20"},{"state":"` + state + `",` + key + `,` + doubts + `,` + ofRun + `}]}`,
		"runs yappli/users --run":   `{"state":"` + state + `",` + key + `,` + doubts + `,` + ofRun + `,"place":"s3://lake/` + runFolder + name + `","described":` + string(raw) + `}`,
		"export yappli/users":       `{"state":"complete",` + ofRun + `}`, "export plan": `{"dataset":"yappli/users","rows":1000,"requests":50,"requests_per_second":2,"seconds":25,"parts":1,"usd":0.0123}`,
		"verify": `{"state":"complete","parts":2,"rows":300,"bytes":5,"faults":["<i>wrong</i>"]}`, "export accept": `{"state":"accepted"}`, "resume": `{}`,
	}
	return printed, store
}

func withBucket(store objectstore.Store) func(*console.Options) {
	return func(o *console.Options) {
		o.Objects = func() (objectstore.Store, string) { return store, "shop" }
	}
}

func november(o *console.Options) {
	o.Now = func() time.Time { return time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC) }
}

func TestExports_ShowRunsAsACalendar(t *testing.T) {
	printed, store := exportsOf(t, "in doubt", 300)
	dev := &fakeDev{state: console.State{Now: time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)}}
	var log commandLog
	s, b := open(t, printed, dev.on, withBucket(store), log.on)
	b.enter(s)
	for _, language := range console.Languages() {
		for path, wants := range map[string][]string{
			"/exports": {`<time datetime="2026-11-22">22</time> <a href="` + runAt + `"`, `<time datetime="2026-10-26">`, `aria-current="date"`, `id="export-run-yappli-users"`, "hikyaku export yappli/users"},
			runAt:      {"2.50 MB/s", "40 (20.0/s)", "&lt;script&gt;", "/download/yappli/users/20261122T003000Z/part-00000.jsonl.gz", "/download/yappli/users/20261122T003000Z/rejects/part-00000.jsonl", "customer 0", "&lt;b&gt;"},
		} {
			status, _, page := b.do(http.MethodGet, path, "", map[string]string{"Accept-Language": language})
			if status != http.StatusOK || strings.Contains(page, "<script>alert") || strings.Contains(page, "<b>") {
				t.Errorf("%s in %s answered %d: %s", path, language, status, page)
			}
			for _, want := range wants {
				if !strings.Contains(page, want) {
					t.Errorf("%s in %s lacks %q", path, language, want)
				}
			}
			if rest := strings.Count(page, `<time datetime="`); path == "/exports" && rest < 35 {
				t.Errorf("the calendar has %d days", rest)
			}
		}
	}
	log.has(t, "runs yappli/users --since 2026-10-25 --json")
	if status, _ := b.get("/exports/yappli/users/..%2F..%2Fsecret"); status == http.StatusOK {
		t.Error("an invented run has a page")
	}
}

func TestExports_ActByCommands(t *testing.T) {
	printed, store := exportsOf(t, "in doubt", 3)
	var log commandLog
	s, b := open(t, printed, (&fakeDev{}).on, withBucket(store), november, log.on)
	b.enter(s)
	const place = "s3://lake/" + runFolder + "_doubt.json"
	for action, form := range map[string]url.Values{
		"export-run": {"dataset": {"yappli/users"}}, "export-plan": {"dataset": {"yappli/users"}, "rows": {"1000"}}, "export-verify": {"place": {place}},
		"export-accept": {"place": {place}, "reason": {"the shop deleted them"}}, "pause-export": {"reason": {"moves"}, "for": {"2d"}}, "resume-export": {},
	} {
		if status, _, body := b.do(http.MethodPost, "/do/"+action, form.Encode(), nil); status != http.StatusOK || strings.Contains(body, `role="alert"`) || strings.Contains(body, "<i>") {
			t.Errorf("%s answered %d: %s", action, status, body)
		}
	}
	for _, line := range []string{
		"export yappli/users --json", "export plan yappli/users --rows 1000 --json", "verify " + place + " --json", "export accept " + place + " --reason the shop deleted them --json",
		"pause export --for 2d --reason moves --yes --json", "resume export --yes --json",
	} {
		log.has(t, line)
	}
	for action, form := range map[string]string{
		"export-run": "dataset=--to", "export-plan": "dataset=yappli/users&rows=-1", "export-verify": "place=--stack%3Dx/_manifest.json", "export-accept": "place=s3://lake/x/_doubt.json",
	} {
		if _, _, body := b.do(http.MethodPost, "/do/"+action, form, nil); !strings.Contains(body, `role="alert"`) {
			t.Errorf("%s with %s answered %s", action, form, body)
		}
	}
	log.lacks(t, "export --to")
}

func TestExports_DownloadOnlyWhatARunHas(t *testing.T) {
	printed, store := exportsOf(t, "complete", 3)
	s, b := open(t, printed, withBucket(store), november)
	const at = "/download/yappli/users/20261122T003000Z/"
	if status, _, _ := b.do(http.MethodGet, at+"part-00000.jsonl.gz", "", nil); status != http.StatusUnauthorized {
		t.Errorf("without a link a part is answered %d", status)
	}
	b.enter(s)
	status, headers, body := b.do(http.MethodGet, at+"part-00000.jsonl.gz", "", nil)
	unzipped, err := gzip.NewReader(strings.NewReader(body))
	if status != http.StatusOK || err != nil || headers.Get("Content-Disposition") != "attachment; filename=yappli-users-20261122T003000Z-part-00000.jsonl.gz" {
		t.Fatalf("a part is answered %d, %v, %v", status, headers, err)
	}
	var lines bytes.Buffer
	if _, err := lines.ReadFrom(unzipped); err != nil || strings.Count(lines.String(), "\n") != 3 {
		t.Errorf("the part holds %q, %v", lines.String(), err)
	}
	if _, _, body := b.do(http.MethodGet, at+"rejects/part-00000.jsonl", "", nil); body != "{}\n" {
		t.Errorf("the rejects are %q", body)
	}
	for _, path := range []string{at + "secret", at + "..%2F..%2F..%2Fyappli%2Fsecret", at + "_manifest.json", at + "rejects/part-00000.jsonl.gz", "/download/yappli/nothing/20261122T003000Z/part-00000.jsonl.gz"} {
		if status, _, body := b.do(http.MethodGet, path, "", nil); status == http.StatusOK || strings.Contains(body, "canary") {
			t.Errorf("%s is answered %d: %s", path, status, body)
		}
	}
}

func TestExports_StreamWhatIsFound(t *testing.T) {
	printed, store := exportsOf(t, "complete", 30_000)
	s, b := open(t, printed, withBucket(store), november)
	b.enter(s)
	find := func(action string, form url.Values) string {
		t.Helper()
		status, headers, body := b.do(http.MethodPost, "/do/"+action, form.Encode(), nil)
		if status != http.StatusOK || headers.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%s answered %d: %s", action, status, body)
		}
		for _, line := range strings.Split(body, "\n") {
			if line != "" && !strings.HasPrefix(line, "data: ") || strings.Contains(line, "\r") {
				t.Fatalf("a line of the stream is %q", line)
			}
		}
		return body[strings.LastIndex(strings.TrimSpace(body), "\n\n")+1:]
	}
	in := url.Values{"dataset": {"yappli/users"}, "run": {"20261122T003000Z"}}
	in.Set("search", "U29999@MAIL")
	if last := find("export-records", in); !strings.Contains(last, "u29999@mail.example") || !strings.Contains(last, "1 found in 30,000 records") {
		t.Errorf("the last message: %s", last)
	}
	in.Set("search", "customer")
	if last := find("export-records", in); !strings.Contains(last, "The first 200 of 30,000") || strings.Count(last, "<tr>") != 201 {
		t.Errorf("of many, %d are shown", strings.Count(last, "<tr>"))
	}
	in.Set("search", "")
	in.Set("skip", "50")
	in["column"] = []string{"mail"}
	if last := find("export-records", in); !strings.Contains(last, "u50@mail.example") || !strings.Contains(last, "u99@mail.example") || strings.Contains(last, "u100@") || strings.Contains(last, "customer") {
		t.Errorf("the second page: %s", last)
	}
	if last := find("export-find", url.Values{"search": {"u123@mail"}}); !strings.Contains(last, runAt) || !strings.Contains(last, "u123@mail.example") {
		t.Errorf("found in the exports: %s", last)
	}
	if last := find("export-find", url.Values{"search": {""}}); !strings.Contains(last, "Type what to look for") {
		t.Errorf("no words: %s", last)
	}
}

func TestExports_GoOnAfterThePersonHasLeft(t *testing.T) {
	printed, store := exportsOf(t, "complete", 3)
	begun, ended := make(chan struct{}), make(chan error, 1)
	s, b := open(t, printed, (&fakeDev{}).on, withBucket(store), func(o *console.Options) {
		run := o.Run
		o.Run = func(ctx context.Context, stdin []byte, args ...string) (json.RawMessage, error) {
			if line := strings.Join(args, " "); line != "export yappli/users --json" && args[0] != "verify" {
				return run(ctx, stdin, args...)
			}
			begun <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
	})
	b.enter(s)
	ctx, leave := context.WithCancel(t.Context())
	said := make(chan string, 1)
	go func() {
		_, _, body := b.do(http.MethodPost, "/do/export-verify", "place=s3://lake/x/_manifest.json", nil)
		said <- body
	}()
	<-begun
	b.do(http.MethodPost, "/do/slow-stop", "key=verify+s3://lake/x/_manifest.json", nil)
	if body := <-said; !strings.Contains(body, "It stops") || strings.Contains(body, `role="alert"`) {
		t.Errorf("who is still there when it is stopped is told %s", body)
	}
	if err := <-ended; err == nil {
		t.Error("it went on")
	}
	go func() {
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, b.base+"/do/export-run", strings.NewReader("dataset=yappli/users"))
		r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {b.base}, "X-Csrf-Token": {b.token}}
		if answer, err := b.http.Do(r); err == nil {
			_ = answer.Body.Close()
		}
	}()
	<-begun
	leave()
	if _, page := b.get("/exports"); !strings.Contains(page, "export yappli/users</code> since") {
		t.Error("the page does not show what runs")
	}
	if _, _, body := b.do(http.MethodPost, "/do/export-run", "dataset=yappli/users", nil); !strings.Contains(body, "This runs already") {
		t.Errorf("beginning it again answered %s", body)
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended with the person: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	b.do(http.MethodPost, "/do/slow-stop", "key=export+yappli/users", nil)
	if err := <-ended; err == nil {
		t.Error("it was not stopped")
	}
}
