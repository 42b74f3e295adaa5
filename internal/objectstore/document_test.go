package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/crash"
	"hikyaku/internal/objectstore"
)

// A counter is a document with a number in it, and what its writers were told.
type counter struct {
	objects   objectstore.Memory
	confirmed int // increments that were reported as written
	refused   int // that were reported as not written for certain
	unknown   int
}

func increment(ctx context.Context, p *crash.Process, c *counter) error {
	store := p.Objects(&c.objects)
	document, err := objectstore.ReadDocument(ctx, store, "count")
	if err != nil {
		return err
	}
	var n int
	if err := document.Decode(&n); err != nil {
		return err
	}
	switch _, err := document.Replace(ctx, store, n+1); {
	case err == nil:
		c.confirmed++
	case errors.Is(err, objectstore.ErrConflict):
		c.refused++
		return err
	default:
		c.unknown++
		return err
	}
	return nil
}

// TestReplaceKnowsItsOwnWrite fails and loses every call of two increments:
// what was confirmed is there, once.
func TestReplaceKnowsItsOwnWrite(t *testing.T) {
	t.Parallel()
	report := crash.Enumerate(t, crash.Scenario[*counter]{
		Setup: func(testing.TB) *counter { return new(counter) },
		Run:   increment, Twice: true,
		Check: func(c *counter, o crash.Outcome) error {
			document, err := objectstore.ReadDocument(context.Background(), &c.objects, "count")
			if err != nil {
				return err
			}
			var n int
			if err := document.Decode(&n); err != nil {
				return err
			}
			if n < c.confirmed || n > c.confirmed+c.unknown || int64(n) != document.Counter || c.refused > 0 {
				return fmt.Errorf("count %d, counter %d, confirmed %d, unknown %d, refused %d", n, document.Counter, c.confirmed, c.unknown, c.refused)
			}
			if len(o.Points) == 1 && o.Points[0].Fault == crash.Lost && o.Points[0].Call == "objects.Put count" && c.confirmed != 2 {
				return fmt.Errorf("a lost answer to a write left %d of 2 confirmed", c.confirmed)
			}
			return nil
		},
	})
	if len(report.Calls) != 2 {
		t.Errorf("calls = %v", report.Calls)
	}
}

// answering is a store whose Put answers with err, after writing if lands,
// and after another's write if raced.
type answering struct {
	*objectstore.Memory

	err   error
	lands bool
	raced string
	reads error
}

func (a *answering) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if a.raced != "" {
		put(ctx, a.Memory, a.raced)
	}
	if a.lands {
		if _, err := a.Memory.Put(ctx, o); err != nil {
			return "", err
		}
	}
	return "", a.err
}

func (a *answering) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	if a.reads != nil {
		return objectstore.Info{}, nil, a.reads
	}
	return a.Memory.Get(ctx, key)
}

func put(ctx context.Context, m *objectstore.Memory, body string) {
	_, _ = m.Put(ctx, objectstore.Object{Key: "d", Body: strings.NewReader(body), Size: int64(len(body))})
}

const others = `{"nonce":"theirs","counter":9,"data":"theirs"}`

func TestReplaceAfterADoubtfulAnswer(t *testing.T) {
	t.Parallel()
	outage := errors.New("outage")
	for name, c := range map[string]struct {
		store answering
		want  error // nil: success
		not   error
	}{
		"conflict with itself":            {store: answering{err: objectstore.ErrConflict, lands: true}},
		"outage after the write":          {store: answering{err: outage, lands: true}},
		"outage before the write":         {store: answering{err: outage}, want: outage, not: objectstore.ErrConflict},
		"conflict with another":           {store: answering{err: objectstore.ErrConflict, raced: others}, want: objectstore.ErrConflict},
		"outage, and another has written": {store: answering{err: outage, raced: others}, want: objectstore.ErrConflict, not: outage},
		"conflict with nobody":            {store: answering{err: objectstore.ErrConflict}, want: objectstore.ErrConflict},
		"denied":                          {store: answering{err: objectstore.ErrDenied, lands: true}, want: objectstore.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := c.store
			store.Memory = new(objectstore.Memory)
			put(t.Context(), store.Memory, `{"nonce":"n","counter":4,"data":"mine"}`)
			document, err := objectstore.ReadDocument(t.Context(), &store, "d")
			if err != nil {
				t.Fatal(err)
			}
			next, err := document.Replace(t.Context(), &store, "next")
			if !errors.Is(err, c.want) || c.not != nil && errors.Is(err, c.not) {
				t.Fatalf("error = %v, want %v and not %v", err, c.want, c.not)
			}
			if c.want != nil {
				return
			}
			again, err := objectstore.ReadDocument(t.Context(), &store, "d")
			if err != nil || next.Counter != 5 || again.ETag != next.ETag || string(again.Data) != `"next"` {
				t.Errorf("next = %+v, stored %+v, %v", next, again, err)
			}
		})
	}
}

func TestReplaceWithUnknownOutcome(t *testing.T) {
	t.Parallel()
	write, read := errors.New("write outage"), errors.New("read outage")
	store := &answering{Memory: new(objectstore.Memory), err: write, lands: true}
	document, err := objectstore.ReadDocument(t.Context(), store, "d")
	if err != nil {
		t.Fatal(err)
	}
	store.reads = read
	_, err = document.Replace(t.Context(), store, "x")
	if !errors.Is(err, write) || !errors.Is(err, read) || errors.Is(err, objectstore.ErrConflict) || !strings.Contains(err.Error(), "outcome unknown") {
		t.Errorf("error = %v, want both causes", err)
	}
	if _, err := objectstore.ReadDocument(t.Context(), store, "d"); !errors.Is(err, read) {
		t.Errorf("ReadDocument = %v, want the outage", err)
	}
}

func TestReplaceRefusesWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	m := new(objectstore.Memory)
	if _, err := (objectstore.Document{Key: "d"}).Replace(t.Context(), m, func() {}); err == nil {
		t.Error("a function was written")
	}
	if _, err := m.Head(t.Context(), "d"); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("Head = %v", err)
	}
}

func TestDocumentIsNotReadFromAnythingElse(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "text", `{}`, `{"data":1}`, `{"nonce":7}`, strings.Repeat(" ", 1<<20) + others} {
		m := new(objectstore.Memory)
		put(t.Context(), m, body)
		document, err := objectstore.ReadDocument(t.Context(), m, "d")
		if err == nil || document.Exists() || strings.Contains(err.Error(), "text") {
			t.Errorf("%.20q was read as %+v, %v", body, document, err)
		}
	}
	m := new(objectstore.Memory)
	put(t.Context(), m, strings.Repeat(" ", 1<<20-len(others))+others)
	document, err := objectstore.ReadDocument(t.Context(), m, "d")
	if err != nil || document.Counter != 9 {
		t.Errorf("a document of 1 MiB = %+v, %v", document, err)
	}
	var n int
	if err := document.Decode(&n); err == nil {
		t.Error("a text was decoded as a number")
	}
	n = 7
	if err := (objectstore.Document{}).Decode(&n); err != nil || n != 7 {
		t.Errorf("an absent document decoded to %d, %v", n, err)
	}
}

func TestMemoryCopiesAndDates(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	m := &objectstore.Memory{Now: func() time.Time { return at }}
	metadata := map[string]string{"rows": "1"}
	body := []byte("v")
	if _, err := m.Put(t.Context(), objectstore.Object{Key: "k", Body: bytes.NewReader(body), Size: 1, Metadata: metadata}); err != nil {
		t.Fatal(err)
	}
	metadata["rows"], body[0] = "2", 'w'
	info, err := m.Head(t.Context(), "k")
	if err != nil || info.Metadata["rows"] != "1" || !info.Modified.Equal(at) {
		t.Errorf("Head = %+v, %v", info, err)
	}
	info.Metadata["rows"] = "3"
	if again, err := m.Head(t.Context(), "k"); err != nil || again.Metadata["rows"] != "1" {
		t.Errorf("Head = %+v, %v", again, err)
	}
	for info, err := range m.List(t.Context(), "", "") {
		if err != nil || info.Metadata != nil {
			t.Errorf("List shows metadata %v, %v", info.Metadata, err)
		}
	}
}

// Of many who write at once, the newest state stays, however often they overtake one
// another.
func TestUpdate_KeepsTheNewestOfMany(t *testing.T) {
	t.Parallel()
	m := new(objectstore.Memory)
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			err := objectstore.Update(t.Context(), m, "d", func(newest *int) bool {
				older := *newest < n
				*newest = n
				return older
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	document, err := objectstore.ReadDocument(t.Context(), m, "d")
	if err != nil || string(document.Data) != "15" {
		t.Errorf("%s, %v", document.Data, err)
	}
}

func TestUpdate_AsksAgainOnlyAfterAConflict(t *testing.T) {
	t.Parallel()
	outage := errors.New("outage")
	for name, c := range map[string]struct {
		store answering
		want  error
		asked int
	}{
		"overtaken each time": {answering{err: objectstore.ErrConflict, raced: others}, objectstore.ErrConflict, 20},
		"refused each time":   {answering{err: objectstore.ErrConflict}, objectstore.ErrConflict, 20}, // by a write that failed itself
		"outage":              {answering{err: outage}, outage, 1},
		"denied":              {answering{err: objectstore.ErrDenied}, objectstore.ErrDenied, 1},
		"a lost answer":       {answering{err: outage, lands: true}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := c.store
			store.Memory = new(objectstore.Memory)
			put(t.Context(), store.Memory, `{"nonce":"n","counter":4,"data":"first"}`)
			var met []string
			err := objectstore.Update(t.Context(), &store, "d", func(s *string) bool {
				met = append(met, *s)
				*s = "mine"
				return true
			})
			if !errors.Is(err, c.want) || len(met) != c.asked {
				t.Errorf("%v, asked %d times, want %v and %d", err, len(met), c.want, c.asked)
			}
			again := map[bool]string{true: "theirs", false: "first"}[c.store.raced != ""]
			if met[0] != "first" || c.asked > 1 && met[1] != again {
				t.Errorf("asked with %q, want what was there each time", met)
			}
			for info, err := range store.List(t.Context(), "", "") {
				if err != nil || info.Key != "d" {
					t.Errorf("wrote %q, %v", info.Key, err)
				}
			}
		})
	}
}

func TestUpdate_WritesNothingIfThereIsNothingToChange(t *testing.T) {
	t.Parallel()
	m := new(objectstore.Memory)
	if err := objectstore.Update(t.Context(), m, "d", func(*int) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Head(t.Context(), "d"); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("Head = %v", err)
	}
}
