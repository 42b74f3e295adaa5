package published_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/crash"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/published"
)

var (
	packaged = []byte("column01: full_name\n")
	first    = []byte("column01: email\n")
	second   = []byte("column02: phone\n")
)

func parsed(source []byte) *mapping.Mapping {
	m, err := mapping.Parse("mapping.yaml", source)
	if err != nil {
		panic(err)
	}
	return m
}

// A shop is a bucket, and a clock.
type shop struct {
	objects *objectstore.Memory
	now     time.Time
}

func newShop(testing.TB) *shop {
	return &shop{objects: &objectstore.Memory{}, now: time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)}
}

func (s *shop) store(objects objectstore.Store) published.Store {
	return published.Store{Objects: objects, Prefix: "shop"}
}

// reader is what a new instance of a function has.
func (s *shop) reader(objects objectstore.Store) *published.Reader {
	return &published.Reader{
		Store: s.store(objects), Parse: mapping.Parse, Packaged: func() (*mapping.Mapping, error) { return parsed(packaged), nil },
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.now },
	}
}

func (s *shop) put(ctx context.Context, objects objectstore.Store, source []byte) error {
	store := s.store(objects)
	log, err := store.Log(ctx)
	if err != nil {
		return err
	}
	return store.Put(ctx, log, source, published.Entry{At: s.now, By: "operator", Why: "test"})
}

func (s *shop) undo(ctx context.Context, objects objectstore.Store) error {
	store := s.store(objects)
	log, err := store.Log(ctx)
	if err != nil {
		return err
	}
	_, err = store.Undo(ctx, log, published.Entry{At: s.now})
	return err
}

func wantMapping(t *testing.T, r *published.Reader, told string, source []byte) {
	t.Helper()
	m, err := r.Current(t.Context(), told)
	if err != nil || m.Digest() != mapping.DigestOf(source) || r.Held() != m {
		t.Fatalf("mapping = %v, %v, want %s", m, err, source)
	}
}

func TestReader_LooksAgainAfterAMinute(t *testing.T) {
	s := newShop(t)
	r := s.reader(s.objects)
	wantMapping(t, r, "", packaged)
	if err := s.put(t.Context(), s.objects, first); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(time.Minute - time.Second)
	wantMapping(t, r, "", packaged)
	s.now = s.now.Add(time.Second)
	wantMapping(t, r, "", first)
	if err := s.put(t.Context(), s.objects, second); err != nil {
		t.Fatal(err)
	}
	wantMapping(t, r, "", first)
	wantMapping(t, r, parsed(second).ShortDigest(), second) // told of by a message: at once
	wantMapping(t, r, parsed(first).ShortDigest(), second)  // an older message changes nothing
}

// A mapping of which an older message tells is looked for once, not for each
// message.
func TestReader_CountsItsLooks(t *testing.T) {
	s := newShop(t)
	if err := errors.Join(s.put(t.Context(), s.objects, first), s.put(t.Context(), s.objects, second)); err != nil {
		t.Fatal(err)
	}
	counted := &counting{Store: s.objects}
	r := s.reader(counted)
	for range 1000 {
		wantMapping(t, r, parsed(first).ShortDigest(), second)
	}
	if counted.gets != 2 { // pointer and file
		t.Errorf("%d reads, want 2", counted.gets)
	}
}

type counting struct {
	objectstore.Store

	gets int
}

func (c *counting) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	c.gets++
	return c.Store.Get(ctx, key)
}

// down is a bucket that cannot be read.
type down struct{ objectstore.Store }

func (down) Get(context.Context, string) (objectstore.Info, io.ReadCloser, error) {
	return objectstore.Info{}, nil, errors.New("the bucket is down")
}

func TestReader_KeepsTheLastOneWhileTheBucketIsDown(t *testing.T) {
	s := newShop(t)
	if err := s.put(t.Context(), s.objects, first); err != nil {
		t.Fatal(err)
	}
	r := s.reader(s.objects)
	wantMapping(t, r, "", first)
	r.Store.Objects = down{s.objects}
	for range 10 {
		s.now = s.now.Add(time.Hour)
		wantMapping(t, r, "", first)
	}
	if m, err := r.Current(t.Context(), parsed(second).ShortDigest()); err == nil {
		t.Errorf("%s for a message that tells of another, want an error", m.Digest())
	}
	fresh := s.reader(down{s.objects})
	for range 2 {
		if m, err := fresh.Current(t.Context(), ""); err == nil {
			t.Fatalf("%s from a new instance, want an error", m.Digest())
		}
	}
	fresh.Store.Objects = s.objects
	wantMapping(t, fresh, "", first)
}

// The packaged mapping is older than any that was published, and never comes
// back by itself.
func TestReader_PackagedOnlyUntilOneWasPublished(t *testing.T) {
	pointer, file := "shop/config/mapping/pointer", "shop/config/mapping/"+mapping.DigestOf(first)+".yaml"
	for name, spoil := range map[string]func(*shop) error{
		"pointer gone": func(s *shop) error { return s.objects.Delete(context.Background(), pointer) },
		"file gone":    func(s *shop) error { return s.objects.Delete(context.Background(), file) },
		"file of other bytes": func(s *shop) error {
			_, err := s.objects.Put(context.Background(), objectstore.Object{Key: file, Body: strings.NewReader("column01: fk\n"), Size: 13})
			return err
		},
		"pointer of other bytes": func(s *shop) error {
			_, err := s.objects.Put(context.Background(), objectstore.Object{Key: pointer, Body: strings.NewReader("{}"), Size: 2})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			held := s.reader(s.objects)
			wantMapping(t, held, "", packaged)
			if err := s.put(t.Context(), s.objects, first); err != nil {
				t.Fatal(err)
			}
			s.now = s.now.Add(time.Minute)
			wantMapping(t, held, "", first)
			if err := spoil(s); err != nil {
				t.Fatal(err)
			}
			if m, err := s.reader(s.objects).Current(t.Context(), ""); err == nil {
				t.Errorf("%s from a new instance, want an error", m.Digest())
			}
			s.now = s.now.Add(time.Minute)
			wantMapping(t, held, "", first)
		})
	}
}

// A pointer that somebody else has written brings no packaged mapping back, and
// nothing of it reaches a terminal.
func TestLog_RefusesWhatOthersWrote(t *testing.T) {
	for name, data := range map[string]string{
		"no entries":      `{"entries":[]}`,
		"another shape":   `{"mapping":"` + mapping.DigestOf(first) + `"}`,
		"no digest":       `{"entries":[{"digest":"\u001b[2J"}]}`,
		"another's place": `{"entries":[{"digest":"../../state/x"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			if err := s.put(t.Context(), s.objects, first); err != nil {
				t.Fatal(err)
			}
			body := `{"nonce":"n","counter":3,"data":` + data + `}`
			if _, err := s.objects.Put(t.Context(), objectstore.Object{Key: "shop/config/mapping/pointer", Body: strings.NewReader(body), Size: int64(len(body))}); err != nil {
				t.Fatal(err)
			}
			if log, err := s.store(s.objects).Log(t.Context()); err == nil || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%v, %v, want a refusal", log.Entries, err)
			}
			if m, err := s.reader(s.objects).Current(t.Context(), ""); err == nil {
				t.Errorf("%s from a new instance, want an error", m.Digest())
			}
			if err := errors.Join(s.objects.Delete(t.Context(), "shop/config/mapping/pointer"), s.put(t.Context(), s.objects, second)); err != nil {
				t.Fatal(err)
			}
			wantMapping(t, s.reader(s.objects), "", second)
		})
	}
}

func TestUndo_GoesBackOneByOne(t *testing.T) {
	s := newShop(t)
	third := []byte("column03: fk\n")
	for _, source := range [][]byte{first, second, third} {
		if err := s.put(t.Context(), s.objects, source); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range [][]byte{second, first} {
		if err := s.undo(t.Context(), s.objects); err != nil {
			t.Fatal(err)
		}
		wantMapping(t, s.reader(s.objects), "", want)
	}
	if err := s.undo(t.Context(), s.objects); err == nil || !strings.Contains(err.Error(), "nothing to go back to") {
		t.Fatalf("a third undo: %v", err)
	}
	if err := s.put(t.Context(), s.objects, third); err != nil {
		t.Fatal(err)
	}
	if err := s.undo(t.Context(), s.objects); err != nil {
		t.Fatal(err)
	}
	wantMapping(t, s.reader(s.objects), "", first)
}

// The log keeps its last entries only. What an undo went back to may be older than
// these; what it took back does not come again.
func TestBefore_OfALogThatWasCut(t *testing.T) {
	log := published.Log{Entries: []published.Entry{{Digest: "taken back"}, {Digest: "older", Undo: true}, {Digest: "newest"}}}
	if e, ok := log.Before(); !ok || e.Digest != "older" {
		t.Errorf("before is %q, want the one that the undo went back to", e.Digest)
	}
	log.Entries = log.Entries[1:]
	if e, ok := log.Before(); !ok || e.Digest != "older" {
		t.Errorf("before is %q, want the one that the undo went back to", e.Digest)
	}
}

// A mapping of which the file was lost or spoiled is good again when it is
// published again, as the function's message says.
func TestPut_AgainMakesTheFileGood(t *testing.T) {
	file := "shop/config/mapping/" + mapping.DigestOf(first) + ".yaml"
	for name, spoil := range map[string]func(*shop) error{
		"gone": func(s *shop) error { return s.objects.Delete(context.Background(), file) },
		"other bytes": func(s *shop) error {
			_, err := s.objects.Put(context.Background(), objectstore.Object{Key: file, Body: strings.NewReader("column01: fk\n"), Size: 13})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			if err := errors.Join(s.put(t.Context(), s.objects, first), spoil(s), s.put(t.Context(), s.objects, first)); err != nil {
				t.Fatal(err)
			}
			wantMapping(t, s.reader(s.objects), "", first)
		})
	}
}

// Reasons of any length cannot make the pointer larger than its readers read.
func TestPut_RefusesALongReason(t *testing.T) {
	s := newShop(t)
	store := s.store(s.objects)
	for range 2 {
		log, err := store.Log(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Put(t.Context(), log, first, published.Entry{At: s.now, Why: strings.Repeat("x", 1<<20)}); err == nil || !strings.Contains(err.Error(), "reason") {
			t.Fatalf("%v, want a refusal", err)
		}
	}
	log, err := store.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	largest := published.Entry{Digest: mapping.DigestOf(second), At: s.now, By: strings.Repeat("u", 64), Why: strings.Repeat("\x01", 200)}
	log.Entries = slices.Repeat([]published.Entry{largest}, 600)
	if err := store.Put(t.Context(), log, first, largest); err != nil {
		t.Fatal(err)
	}
	wantMapping(t, s.reader(s.objects), "", first)
}

func TestPut_OneOfTwoAtOnceIsTold(t *testing.T) {
	s := newShop(t)
	store := s.store(s.objects)
	for _, source := range [][]byte{first, second} {
		log, err := store.Log(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.put(t.Context(), s.objects, []byte("column09: fk\n")); err != nil {
			t.Fatal(err)
		}
		err = store.Put(t.Context(), log, source, published.Entry{At: s.now})
		if !errors.Is(err, objectstore.ErrConflict) || !strings.Contains(err.Error(), "mapping log") {
			t.Fatalf("%v, want a conflict", err)
		}
	}
}

// Where the pointer was lost, no way to die in 'mapping put' brings the packaged
// mapping back.
func TestPut_DiesAnywhereAfterThePointerWasLost(t *testing.T) {
	crash.Enumerate(t, crash.Scenario[*shop]{
		Setup: func(t testing.TB) *shop {
			s := newShop(t)
			if err := errors.Join(s.put(context.Background(), s.objects, first), s.objects.Delete(context.Background(), "shop/config/mapping/pointer")); err != nil {
				t.Fatal(err)
			}
			return s
		},
		Run: func(ctx context.Context, p *crash.Process, s *shop) error {
			return s.put(ctx, p.Objects(s.objects), second)
		},
		Recover: func(ctx context.Context, p *crash.Process, s *shop) error {
			if m, err := s.reader(s.objects).Current(context.Background(), ""); err == nil && m.Digest() != mapping.DigestOf(second) {
				return fmt.Errorf("a new instance works by %s", m.Digest())
			}
			return s.put(ctx, p.Objects(s.objects), second)
		},
		Check: func(s *shop, _ crash.Outcome) error {
			m, err := s.reader(s.objects).Current(context.Background(), "")
			if err != nil || m.Digest() != mapping.DigestOf(second) {
				return fmt.Errorf("after all: %v, %w", m, err)
			}
			return nil
		},
	})
}

// Wherever 'mapping put' dies, an instance that starts then, and one that was
// there, work by the mapping of before or the new one; a second try succeeds.
func TestPut_DiesAnywhere(t *testing.T) {
	for name, before := range map[string][][]byte{"the first": nil, "another": {first}, "one that was there": {second, first}} {
		t.Run(name, func(t *testing.T) {
			was := packaged
			if len(before) > 0 {
				was = first
			}
			between := func(s *shop, which string, r *published.Reader) error {
				m, err := r.Current(context.Background(), "")
				if err != nil || m.Digest() != mapping.DigestOf(was) && m.Digest() != mapping.DigestOf(second) {
					return fmt.Errorf("%s works by %v, %w", which, m, err)
				}
				return nil
			}
			report := crash.Enumerate(t, crash.Scenario[*shop]{
				Setup: func(t testing.TB) *shop {
					s := newShop(t)
					for _, source := range before {
						if err := s.put(context.Background(), s.objects, source); err != nil {
							t.Fatal(err)
						}
					}
					return s
				},
				Run: func(ctx context.Context, p *crash.Process, s *shop) error {
					return s.put(ctx, p.Objects(s.objects), second)
				},
				Recover: func(ctx context.Context, p *crash.Process, s *shop) error {
					if err := between(s, "a new instance", s.reader(s.objects)); err != nil {
						return err
					}
					return s.put(ctx, p.Objects(s.objects), second)
				},
				Check: func(s *shop, _ crash.Outcome) error {
					m, err := s.reader(s.objects).Current(context.Background(), "")
					if err != nil || m.Digest() != mapping.DigestOf(second) {
						return fmt.Errorf("after all: %v, %w", m, err)
					}
					return nil
				},
			})
			prove.Figure(t, report.Cases > 0, "'mapping put' dies or fails at each of its calls: "+name, "works by the mapping of before or the new one", "%d of %d", report.Cases, report.Cases)
		})
	}
}
