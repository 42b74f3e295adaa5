package objectstoretest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"hikyaku/internal/objectstore"
)

var absent = objectstore.Condition{Absent: true}

func matching(etag string) objectstore.Condition { return objectstore.Condition{ETag: etag} }

func createOnly(t *testing.T, f *fixture) {
	etag, err := f.write(t, "x", "one", absent)
	want(t, "create", err, nil)
	_, err = f.write(t, "x", "two", absent)
	want(t, "create again", err, objectstore.ErrConflict)
	_, err = f.write(t, "x", "one", absent)
	want(t, "create again with equal bytes", err, objectstore.ErrConflict)
	f.holds(t, "x", "one", etag)
	want(t, "delete", f.Delete(t.Context(), f.prefix+"x"), nil)
	etag, err = f.write(t, "x", "two", absent)
	want(t, "create after a delete", err, nil)
	f.holds(t, "x", "two", etag)
}

func swap(t *testing.T, f *fixture) {
	one := f.written(t, "x", "one")
	two, err := f.write(t, "x", "two", matching(one))
	want(t, "swap", err, nil)
	_, err = f.write(t, "x", "three", matching(one))
	want(t, "swap from what is no more", err, objectstore.ErrConflict)
	f.holds(t, "x", "two", two)
	three, err := f.write(t, "x", "three", matching(two))
	want(t, "swap", err, nil)
	f.holds(t, "x", "three", three)
}

func swapMissing(t *testing.T, f *fixture) {
	one := f.written(t, "other", "one")
	_, err := f.write(t, "x", "two", matching(one))
	want(t, "swap", err, objectstore.ErrConflict)
	_, err = f.Head(t.Context(), f.prefix+"x")
	want(t, "head", err, objectstore.ErrNotFound)
}

func swapAfterDelete(t *testing.T, f *fixture) {
	one := f.written(t, "x", "one")
	want(t, "delete", f.Delete(t.Context(), f.prefix+"x"), nil)
	_, err := f.write(t, "x", "two", matching(one))
	want(t, "swap", err, objectstore.ErrConflict)
	_, err = f.Head(t.Context(), f.prefix+"x")
	want(t, "head", err, objectstore.ErrNotFound)
}

func createRaced(t *testing.T, f *fixture) {
	f.race(t, absent)
}

func swapRaced(t *testing.T, f *fixture) {
	f.race(t, matching(f.written(t, "x", "one")))
}

// race writes one key from many goroutines under the same condition.
func (f *fixture) race(t *testing.T, condition objectstore.Condition) {
	t.Helper()
	const racers = 10
	var wg sync.WaitGroup
	etags, errs := make([]string, racers), make([]error, racers)
	for i := range racers {
		wg.Go(func() { etags[i], errs[i] = f.write(t, "x", fmt.Sprintf("racer %d", i), condition) })
	}
	wg.Wait()
	var winners []int
	for i, err := range errs {
		switch {
		case err == nil:
			winners = append(winners, i)
		case !errors.Is(err, objectstore.ErrConflict):
			t.Fatalf("racer %d: %v", i, err)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("winners of the race = %v, want one", winners)
	}
	f.holds(t, "x", fmt.Sprintf("racer %d", winners[0]), etags[winners[0]])
}

// document swaps a Document over the store, as leases and rows do.
func document(t *testing.T, f *fixture) {
	key := f.prefix + "document.json"
	empty, err := objectstore.ReadDocument(t.Context(), f, key)
	want(t, "read", err, nil)
	if empty.Exists() {
		t.Error("a key that holds nothing reads as a document")
	}
	first, err := empty.Replace(t.Context(), f, "one")
	want(t, "create", err, nil)
	_, err = empty.Replace(t.Context(), f, "one")
	want(t, "create again", err, objectstore.ErrConflict)
	second, err := first.Replace(t.Context(), f, "one")
	want(t, "replace", err, nil)
	if second.Counter != 2 || second.ETag == first.ETag {
		t.Errorf("second document has counter %d and ETag %s", second.Counter, second.ETag)
	}
	_, err = first.Replace(t.Context(), f, "two")
	want(t, "replace what is no more", err, objectstore.ErrConflict)
	read, err := objectstore.ReadDocument(t.Context(), f, key)
	want(t, "read", err, nil)
	var data string
	want(t, "decode", read.Decode(&data), nil)
	if data != "one" || read.ETag != second.ETag || read.Counter != 2 {
		t.Errorf("document = %q, counter %d, want the second", data, read.Counter)
	}
}
