package record_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/console"
	"hikyaku/internal/dev/record"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// A shelf is a Keeper in memory.
type shelf struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (s *shelf) Commit(changes ...sandbox.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		if c.Value == nil {
			delete(s.kept, c.Section+"/"+c.Key)
			continue
		}
		s.kept[c.Section+"/"+c.Key] = c.Value
	}
	return nil
}

func (s *shelf) Load(section string, f func(string, []byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.kept)) {
		if name, ok := strings.CutPrefix(key, section+"/"); ok {
			if err := f(name, s.kept[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// newRecorder returns a recorder that runs until the test or the returned function ends it.
func newRecorder(t *testing.T, o record.Options) (r *record.Recorder, end func()) {
	t.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	r, err := record.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx, func(err error) { t.Error(err) })
	}()
	end = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(end)
	return r, end
}

const webhookID = "6f1c9f0a-0000-4000-8000-000000000001"

// A journey is one webhook through all that tells the recorder of it.
func journey(t *testing.T, r *record.Recorder) {
	t.Helper()
	message := record.Message{ID: "m1", Dedup: webhookID + "-0", Body: `{"user":"123","event":"change"}`}
	gateway := r.Webhooks(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if id := q.Context().Value(idKey{}); id != webhookID {
			t.Errorf("the gateway was given the id %v", id)
		}
		r.Sent(message)
		w.WriteHeader(http.StatusOK)
	}), func(ctx context.Context, id string) context.Context { return context.WithValue(ctx, idKey{}, id) })
	q := httptest.NewRequest(http.MethodPost, "/webhook/a-secret", strings.NewReader(`{"id":123,"event":"change"}`))
	gateway.ServeHTTP(httptest.NewRecorder(), q.WithContext(record.Name(q.Context(), webhookID)))

	time.Sleep(2300 * time.Millisecond)
	message.Receives, message.Visible = 1, time.Now().Add(time.Minute)
	r.Received(message)
	ended := r.Invoked("relay", "inv-1", []byte(`{"Records":[{"messageId":"m1","body":"{\"user\":\"123\"}"},{"messageId":"m2","body":"{\"user\":\"9\"}"}]}`))
	answers := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Header.Get(record.Invocation) != "" {
				t.Error("the provider sees the header")
			}
			w.WriteHeader(status)
		})
	}
	ask := func(provider, method, path string, status int) {
		q := httptest.NewRequest(method, path, nil)
		q.Header.Set(record.Invocation, "inv-1")
		r.Calls(provider, answers(status)).ServeHTTP(httptest.NewRecorder(), q)
	}
	ask(providers.SuperSaaS, http.MethodGet, "/api/users/123.json", 200)
	ask(providers.Yappli, http.MethodPut, "/api/ext/users/77", 429)
	ask(providers.Yappli, http.MethodPut, "/api/ext/users/77", 200)
	r.Line("relay", fmt.Appendf(nil, `{"timestamp":%q,"level":"DEBUG","message":"user handled","user_id":123,"outcome":"updated","err":null,"requestId":"inv-1"}`+"\n", time.Now().Format(time.RFC3339Nano)))
	r.Gone(message, false)
	ask(providers.SuperSaaS, http.MethodGet, "/api/users/9.json", 200) // of the other message
	ended()
	ask(providers.SuperSaaS, http.MethodGet, "/api/users/123.json", 200) // of nobody's
}

type idKey struct{}

// kindsOf are the kinds of a way's steps.
func kindsOf(w console.Way) string {
	var kinds []string
	for _, e := range w.Steps {
		kinds = append(kinds, string(e.Kind))
	}
	return strings.Join(kinds, " ")
}

const whole = "webhook queued received call call call handled"

func TestWay_TellsAllThatHappened(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept := &shelf{kept: map[string][]byte{}}
		r, end := newRecorder(t, record.Options{Keeper: kept})
		changed := r.Changed()
		journey(t, r)
		synctest.Wait()
		select {
		case <-changed:
		case <-time.After(time.Second):
			t.Error("nobody was told of a change")
		}
		check := func(r *record.Recorder) {
			t.Helper()
			for _, id := range []string{webhookID, "m1"} {
				w, ok := r.Way(id)
				if !ok || kindsOf(w) != whole || !w.Ended || w.Waiting || w.User != "123" || string(w.Webhook) != `{"id":123,"event":"change"}` {
					t.Fatalf("the way of %s: %v %s %+v", id, ok, kindsOf(w), w)
				}
				if w.Steps[0].Status != 200 || w.Steps[4].Status != 429 || !w.Steps[4].Bad || w.Steps[6].Outcome != "updated" || w.Steps[6].Detail["lag_seconds"] != "2.300" {
					t.Errorf("the steps of %s are %+v", id, w.Steps)
				}
				for i := range w.Steps[1:] {
					if w.Steps[i].ID >= w.Steps[i+1].ID || w.Steps[i].At.After(w.Steps[i+1].At) {
						t.Errorf("step %d of %s comes after the next", i, id)
					}
				}
			}
			if calls := r.Events(console.Filter{Kinds: []console.Kind{console.Call}}); len(calls) != 5 || calls[0].Way != "" {
				t.Errorf("the calls are %+v", calls)
			}
		}
		check(r)
		if other, ok := r.Way("m2"); !ok || kindsOf(other) != "call" || other.Ended || !other.Waiting {
			t.Errorf("the other message's way: %v %+v", ok, other)
		}
		end()
		again, _ := newRecorder(t, record.Options{Keeper: kept})
		check(again)
		again.Add(console.Event{Kind: console.Run})
		if events := again.Events(console.Filter{}); events[0].Kind != console.Run || events[0].ID <= events[1].ID {
			t.Errorf("after a restart the newest are %+v", events[:2])
		}
	})
}

func TestSeries_CountsEachSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRecorder(t, record.Options{Depth: func() (console.Depth, int) { return console.Depth{Visible: 3, InFlight: 2, Delayed: 1}, 4 }})
		journey(t, r) // in the third second after the webhook come the calls
		time.Sleep(1500 * time.Millisecond)
		s := r.Series()
		if len(s) != 3 {
			t.Fatalf("%d samples: %+v", len(s), s)
		}
		if s[0].Webhooks != 1 || s[0].Queue != 6 || s[0].Dead != 4 {
			t.Errorf("the first second was %+v", s[0])
		}
		if s[2].Jobs != 1 || s[2].Lag != 2300*time.Millisecond || s[2].Requests != 5 || s[2].Refused != 1 || s[2].Webhooks != 0 {
			t.Errorf("the last second was %+v", s[2])
		}
		time.Sleep(20 * time.Minute)
		if n := len(r.Series()); n != 900 {
			t.Errorf("%d samples are remembered", n)
		}
	})
}

// A dead letter, a message that a person drops, and a cut connection are on the way, too.
func TestWay_ThatEndsBadly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRecorder(t, record.Options{})
		m := record.Message{ID: "m", Dedup: "made-by-nobody", Body: `{"user":"5","event":"reconcile"}`}
		r.Sent(m)
		r.Received(m)
		ended := r.Invoked("relay", "inv", []byte(`{"Records":[{"messageId":"m","body":"{\"user\":\"5\"}"}]}`))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the connection is not cut")
				}
			}()
			q := httptest.NewRequest(http.MethodGet, "/api/users/5.json", nil)
			q.Header.Set(record.Invocation, "inv")
			r.Calls(providers.SuperSaaS, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).ServeHTTP(httptest.NewRecorder(), q)
		}()
		r.Sent(record.Message{ID: "letter", Dedup: "another", Body: `{"user":"5","class":"refused"}`, Dead: true})
		ended()
		dropped := record.Message{ID: "d", Dedup: "d-0", Body: `{"user":"6"}`}
		r.Sent(dropped)
		if w, ok := r.Way("d"); !ok || !w.Waiting || len(r.Waiting("d")) != 1 {
			t.Errorf("before it is dropped: %+v", w)
		}
		r.Gone(dropped, true)
		w, _ := r.Way("m")
		if kindsOf(w) != "queued received call died" || w.Steps[2].Status != 0 || !w.Steps[2].Bad || w.Steps[3].Outcome != "refused" {
			t.Errorf("the dead letter's way is %s: %+v", kindsOf(w), w.Steps)
		}
		if w, _ := r.Way("d"); !w.Ended || w.Steps[1].Outcome != "dropped" || len(r.Waiting("d")) != 0 {
			t.Errorf("the dropped one's is %+v", w)
		}
		if bad := r.Events(console.Filter{Bad: true, User: "5"}); len(bad) != 2 {
			t.Errorf("what a person should look at: %+v", bad)
		}
	})
}

// However much comes, memory is bounded, and a flood of one kind leaves the others there.
func TestRecorder_IsBounded(t *testing.T) {
	t.Parallel()
	kept := &shelf{kept: map[string][]byte{}}
	r, end := newRecorder(t, record.Options{Keeper: kept})
	r.Add(console.Event{Kind: console.Token, Outcome: "refreshed"})
	body := `{"a":"` + strings.Repeat("x", 60<<10) + `"}`
	gateway := r.Webhooks(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), record.Name)
	for i := range 6000 {
		if i == 1000 {
			body = "{}"
		}
		q := httptest.NewRequest(http.MethodPost, "/webhook/s", strings.NewReader(body))
		gateway.ServeHTTP(httptest.NewRecorder(), q.WithContext(record.Name(q.Context(), fmt.Sprintf("w%d", i))))
	}
	if _, ok := r.Way("w5999"); !ok {
		t.Error("the newest way is not known")
	}
	if _, ok := r.Way("w0"); ok {
		t.Error("the oldest way is still there")
	}
	all := r.Events(console.Filter{Limit: 1 << 20})
	if len(all) != 4001 || all[4000].Kind != console.Token {
		t.Errorf("%d events, the oldest %+v", len(all), all[len(all)-1])
	}
	older := r.Events(console.Filter{Before: all[9].ID, Limit: 1})
	if len(older) != 1 || older[0].ID != all[10].ID {
		t.Errorf("before the tenth comes %+v", older)
	}
	end()
	again, _ := newRecorder(t, record.Options{Keeper: kept})
	if n := len(again.Events(console.Filter{Limit: 1 << 20})); n < 1000 || n > 4001 {
		t.Errorf("%d events outlive the process", n)
	}
}

func TestLine_SaysWhatItTellsOf(t *testing.T) {
	t.Parallel()
	r, _ := newRecorder(t, record.Options{})
	for _, line := range []string{
		`{"level":"INFO","message":"credential looked at","provider":"yappli","outcome":"refreshed","status":"ok"}`,
		`{"level":"ERROR","message":"export in doubt","provider":"shopline","dataset":"orders","run":"r1","doubts":["too_few"],"rows":3}`,
		`{"level":"INFO","message":"reconciled","run":"r2","rows":120}`,
		`{"level":"WARN","message":"anything else","user_id":7}`,
		`{"_aws":{},"level":"FATAL","message":"metric"}`,
		`panic: it is no JSON`,
	} {
		r.Line("f", []byte(line+"\n"))
	}
	var got []string
	for _, e := range r.Events(console.Filter{}) {
		got = append(got, fmt.Sprint(e.Kind, e.Provider, e.Dataset, e.Run, e.User, e.Outcome, e.Bad, e.Detail["doubts"], e.Detail["rows"]))
	}
	slices.Reverse(got)
	want := []string{"tokenyapplirefreshedfalse", `runshoplineordersr1true["too_few"]3`, "comparedr2false120", "logged7true", "loggedfalse"}
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], " ", "")
	}
	if !slices.Equal(got, want) {
		t.Errorf("events are\n%q, expected\n%q", got, want)
	}
}

func TestNew_SaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	_, err := record.New(record.Options{Now: time.Now, Keeper: &shelf{kept: map[string][]byte{"dev/events/000000000001": []byte("{")}}})
	if err == nil {
		t.Error("it read what is no event")
	}
	_, err = record.New(record.Options{Now: time.Now, Keeper: broken{}})
	if !errors.Is(err, errBroken) {
		t.Errorf("the error is %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Commit(...sandbox.Change) error                { return errBroken }
func (broken) Load(string, func(string, []byte) error) error { return errBroken }

// A process writes its log beside its answer: the line that tells how a job ended may be
// read once the invocation is over.
func TestRecorder_TellsALateLineOfTheLogOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, end := newRecorder(t, record.Options{})
		defer end()
		message := record.Message{ID: "m", Body: `{"user":"5"}`}
		r.Sent(message)
		for i := range 3 {
			id := fmt.Sprintf("inv-%d", i)
			r.Invoked("relay", id, []byte(`{"Records":[{"messageId":"m","body":"{\"user\":\"5\"}"}]}`))()
		}
		r.Line("relay", []byte(`{"timestamp":"2026-11-22T00:00:00Z","level":"DEBUG","message":"user handled","user_id":5,"outcome":"updated","requestId":"inv-0"}`))
		handled := r.Events(console.Filter{Kinds: []console.Kind{console.Handled}})
		if len(handled) != 1 || handled[0].Way == "" {
			t.Fatalf("handled: %+v", handled)
		}
		if way, ok := r.Way(handled[0].Way); !ok || way.Steps[len(way.Steps)-1].Outcome != "updated" {
			t.Errorf("its way is %+v", way)
		}
	})
}

// What was put on the queue has gone or is in it, and each that has gone has a reason.
func TestRecorder_TalliesMessages(t *testing.T) {
	r, end := newRecorder(t, record.Options{})
	defer end()
	message := func(id string) record.Message { return record.Message{ID: id, Body: `{"user":"5"}`} }
	letter := message("given-up")
	letter.Dead = true
	for _, id := range []string{"handled", "dropped", "expired", "given-up", "waits"} {
		r.Sent(message(id))
	}
	r.Gone(message("handled"), false)
	r.Gone(message("dropped"), true)
	r.Expired(message("expired"))
	r.Gone(message("given-up"), false)
	r.Sent(letter)
	r.Expired(letter)
	if got, want := r.Tally(), (console.Tally{Queued: 5, Gone: 4, Died: 1, Dropped: 1, Expired: 1}); got != want {
		t.Errorf("tallied %+v, want %+v", got, want)
	}
}

// A hand-over token works once: who reads what happened cannot use it.
func TestRecorder_KeepsNoTokenOfAPath(t *testing.T) {
	r, end := newRecorder(t, record.Options{Now: time.Now})
	defer end()
	for _, path := range []string{"/api/ext/check/once-1", "/API/EXT/Check/once-2", "/api/ext/check//once-3/", "/sso/login/once-4"} {
		q := httptest.NewRequest(http.MethodGet, path, nil)
		r.Calls(providers.Yappli, http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), q)
	}
	events := r.Events(console.Filter{})
	if len(events) != 4 || strings.Contains(fmt.Sprint(events), "once-") {
		t.Errorf("it shows %v", events)
	}
}
