package sandbox_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
)

// notebook is a server whose one route writes what it is sent into two sections.
func notebook(o sandbox.Options) (s *sandbox.Server, first, second *sandbox.Section) {
	o.Rate = -1
	s = sandbox.NewServer("notebook", -1, o)
	first, second = s.Journal().Section("first"), s.Journal().Section("second")
	s.Handle("POST /notes/{text}", func(w http.ResponseWriter, r *sandbox.Request) {
		first.Put(r.PathValue("text"), r.PathValue("text"))
		second.Put("last", []string{r.PathValue("text")})
		sandbox.JSON(w, http.StatusOK, "noted")
	})
	s.Handle("GET /notes", func(w http.ResponseWriter, _ *sandbox.Request) { sandbox.JSON(w, http.StatusOK, "none") })
	return s, first, second
}

func write(t *testing.T, s *sandbox.Server, text string) int {
	t.Helper()
	status, _, err := fetch(t.Context(), s.Client(), "POST", "http://sandbox.test/notes/"+text)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// What a request changes is in the keeper before its answer is there, all of it in one
// commit, and is read again by the next server.
func TestJournal(t *testing.T) {
	t.Parallel()
	keeper := new(keepertest.Memory)
	var commits atomic.Int64
	keeper.Fault = func(changes []sandbox.Change) error {
		commits.Add(1)
		for _, c := range changes {
			if !strings.HasPrefix(c.Section, "notebook/") {
				t.Errorf("section %s", c.Section)
			}
		}
		return nil
	}
	s, _, _ := notebook(sandbox.Options{Keeper: keeper})
	for i, text := range []string{"a", "b"} {
		before := commits.Load()
		if status := write(t, s, text); status != 200 || s.Err() != nil {
			t.Fatal(status, s.Err())
		}
		if n := commits.Load() - before; n != 1 {
			t.Errorf("%d commits of one request", n)
		}
		want := []string{`a="a"`, `a="a" b="b"`}[i]
		if got := keepertest.Contents(t, keeper, "notebook/first"); got != want {
			t.Errorf("kept %s, want %s", got, want)
		}
	}
	before := commits.Load()
	_, _, _ = fetch(t.Context(), s.Client(), "GET", "http://sandbox.test/notes")
	if n := commits.Load() - before; n != 0 {
		t.Errorf("%d commits of a request that changed nothing", n)
	}
	again, first, second := notebook(sandbox.Options{Keeper: keeper})
	var got []string
	sandbox.Each(first, func(key, value string) { got = append(got, key+value) })
	sandbox.Each(second, func(_ string, value []string) { got = append(got, value...) })
	if !slices.Equal(got, []string{"aa", "bb", "b"}) {
		t.Errorf("read %v", got)
	}
	again.Do(func() {
		first.Put("c", "c")
		first.Clear()
		first.Put("d", "d")
		second.Delete("last")
	})
	if got := keepertest.Contents(t, keeper, "notebook/first") + keepertest.Contents(t, keeper, "notebook/second"); got != `d="d"` {
		t.Errorf("after Clear and Delete: %s", got)
	}
}

// A change that cannot be kept is no success, and comes with the next that can.
func TestJournal_CannotKeep(t *testing.T) {
	t.Parallel()
	keeper := new(keepertest.Memory)
	var full atomic.Bool
	keeper.Fault = func([]sandbox.Change) error {
		if full.Load() {
			return errors.New("no space left")
		}
		return nil
	}
	s, _, _ := notebook(sandbox.Options{Keeper: keeper})
	full.Store(true)
	if status := write(t, s, "a"); status != 503 || s.Err() == nil || !strings.Contains(s.Err().Error(), "no space left") {
		t.Errorf("status %d, error %v", status, s.Err())
	}
	full.Store(false)
	if status := write(t, s, "b"); status != 200 || s.Err() != nil {
		t.Errorf("status %d, error %v", status, s.Err())
	}
	if got := keepertest.Contents(t, keeper, "notebook/first"); got != `a="a" b="b"` {
		t.Errorf("kept %s", got)
	}
}

// A state that cannot be read is left as it is.
func TestJournal_CannotRead(t *testing.T) {
	t.Parallel()
	keeper := new(keepertest.Memory)
	if err := keeper.Commit(sandbox.Change{Section: "notebook/first", Key: "a", Value: []byte("{torn")}); err != nil {
		t.Fatal(err)
	}
	s, first, _ := notebook(sandbox.Options{Keeper: keeper})
	sandbox.Each(first, func(string, string) {})
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "notebook/first: a:") {
		t.Errorf("error %v", err)
	}
	if status := write(t, s, "b"); status != 503 {
		t.Errorf("status %d", status)
	}
	if got := keepertest.Contents(t, keeper, "notebook/first"); got != "a={torn" {
		t.Errorf("written over: %s", got)
	}
}

// A sandbox goes on with the seed and the number of records that it began with.
func TestServer_Origin(t *testing.T) {
	t.Parallel()
	keeper := new(keepertest.Memory)
	for _, c := range []struct {
		o       sandbox.Options
		seed    uint64
		records int
	}{
		{sandbox.Options{Seed: 7, Records: 3}, 7, 3},
		{sandbox.Options{Seed: 8, Records: 5, Keeper: keeper}, 8, 5},
		{sandbox.Options{Seed: 9, Records: -1, Keeper: keeper}, 8, 5},
	} {
		s, _, _ := notebook(c.o)
		if seed, records := s.Origin(); seed != c.seed || records != c.records {
			t.Errorf("%+v: seed %d, %d records", c.o, seed, records)
		}
		s.Do(func() {})
	}
	s, _, _ := notebook(sandbox.Options{Keeper: keeper})
	s.Do(s.Disown)
	again, _, _ := notebook(sandbox.Options{Keeper: keeper})
	if seed, records := again.Origin(); seed != 8 || records != 0 {
		t.Errorf("after all were replaced: seed %d, %d records", seed, records)
	}
}

// Tokens, their families and what was spent outlive the process.
func TestTokens_KeepIn(t *testing.T) {
	t.Parallel()
	keeper := new(keepertest.Memory)
	open := func() *sandbox.Tokens {
		tokens := &sandbox.Tokens{Life: time.Hour, RefreshGrace: time.Hour}
		tokens.KeepIn(sandbox.NewServer("kept", -1, sandbox.Options{Keeper: keeper}).Journal().Section("tokens"))
		return tokens
	}
	first := open()
	first.AddCode("spent")
	first.AddCode("fresh")
	first.Accept("pasted", time.Time{})
	access, refresh, _ := first.Exchange("spent", start)
	next, newest, _ := first.Redeem(refresh, start)
	stranger, strangers := first.Issue(start)
	first.Revoke("pasted")

	second := open()
	if second.Issued() != first.Issued() || second.Redeemed() != first.Redeemed() || second.Issued() != 3 {
		t.Errorf("%d issued, %d redeemed; before %d and %d", second.Issued(), second.Redeemed(), first.Issued(), first.Redeemed())
	}
	for _, token := range []string{access, next, stranger, "pasted"} {
		if first.Valid(token, start) != second.Valid(token, start) || second.Valid(token, start.Add(time.Hour)) {
			t.Errorf("%s: valid %v, before %v", token, second.Valid(token, start), first.Valid(token, start))
		}
	}
	if _, _, ok := second.Exchange("spent", start); ok {
		t.Error("a code works again")
	}
	if fresh, _, ok := second.Exchange("fresh", start); !ok || slices.Contains([]string{access, next, stranger}, fresh) {
		t.Errorf("an unspent code: %v %s", ok, fresh)
	}
	if _, _, ok := second.Redeem(refresh, start); ok {
		t.Error("a refresh token works again")
	}
	third := open()
	if _, _, ok := third.Redeem(newest, start); ok || third.Valid(next, start) {
		t.Error("a family lives on that the second use of a refresh token has ended")
	}
	if _, _, ok := third.Redeem(strangers, start); !ok {
		t.Error("another family ended with it")
	}
}

// What follows from a change is done once the change is kept, and not before; without a
// keeper as soon as its handler has ended.
func TestJournal_Then(t *testing.T) {
	t.Parallel()
	for _, keeper := range []*keepertest.Memory{nil, new(keepertest.Memory)} {
		o := sandbox.Options{Rate: -1}
		var full atomic.Bool
		if keeper != nil {
			o.Keeper = keeper
			keeper.Fault = func([]sandbox.Change) error {
				if full.Load() {
					return errors.New("no space left")
				}
				return nil
			}
		}
		s := sandbox.NewServer("then", -1, o)
		section := s.Journal().Section("things")
		var done []string
		add := func(name string) {
			s.Do(func() {
				section.Put(name, name)
				s.Journal().Then(func() { done = append(done, name) })
				_ = s.Journal().Commit() // as what is called within does
				if len(done) > 0 && done[len(done)-1] == name {
					t.Errorf("%s was done before its handler had ended", name)
				}
			})
		}
		add("a")
		if keeper != nil {
			full.Store(true)
			add("b")
			if !slices.Equal(done, []string{"a"}) {
				t.Errorf("done, though it was not kept: %v", done)
			}
			full.Store(false)
		} else {
			add("b")
		}
		add("c")
		if !slices.Equal(done, []string{"a", "b", "c"}) {
			t.Errorf("done: %v", done)
		}
	}
}

// A value without a form in JSON fails its own request, and no other.
func TestJournal_NoForm(t *testing.T) {
	t.Parallel()
	keeper := new(keepertest.Memory)
	s, first, _ := notebook(sandbox.Options{Keeper: keeper})
	s.Handle("POST /bad", func(w http.ResponseWriter, _ *sandbox.Request) {
		first.Put("bad", func() {})
		sandbox.JSON(w, http.StatusOK, "noted")
	})
	if status, _, _ := fetch(t.Context(), s.Client(), "POST", "http://sandbox.test/bad"); status != 503 {
		t.Errorf("status %d", status)
	}
	if status := write(t, s, "a"); status != 200 || s.Err() != nil {
		t.Errorf("the next: status %d, %v", status, s.Err())
	}
	if got := keepertest.Contents(t, keeper, "notebook/first"); got != `a="a"` {
		t.Errorf("kept %s", got)
	}
}
