package reconcile

import (
	"context"
	"math/rand/v2"
	"testing"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/state"
)

func randomRecord(r *rand.Rand, id int64) record {
	rec := record{id: id, desired: r.Uint64(), mask: r.Uint64(), member: r.Uint64(), flags: listed}
	for i := range rec.unique {
		rec.unique[i] = byte(r.UintN(256))
	}
	if r.IntN(2) == 0 {
		rec.set(linked)
	}
	return rec
}

func TestTable_FindsAndSurvivesStorage(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	written := &table{}
	var want []record
	for i := range slabLength + 10 { // more than one slab
		rec := randomRecord(random, int64(random.IntN(1<<40))<<20|int64(i)+1)
		want = append(want, rec)
		written.add(rec)
	}
	store := &objectstore.Memory{}
	if err := written.save(context.Background(), store, "p/"); err != nil {
		t.Fatal(err)
	}
	read, err := loadTable(context.Background(), store, "p/", len(want))
	if err != nil || read.len() != len(want) {
		t.Fatalf("read %d records, %v, want %d", read.len(), err, len(want))
	}
	for i, rec := range want {
		if *read.at(i) != rec {
			t.Fatalf("record %d = %+v, want %+v", i, *read.at(i), rec)
		}
		if i%97 != 0 && i < slabLength {
			continue // a sample of the first slab, and all of the second
		}
		if got := read.user(rec.id); got != read.at(i) {
			t.Fatalf("user %d not found", rec.id)
		}
		if got := read.bearers(rec.unique); len(got) != 1 || got[0] != read.at(i) {
			t.Fatalf("identity of user %d: %d records", rec.id, len(got))
		}
		if got := read.linkedTo(rec.member); (got == read.at(i)) != rec.is(linked) {
			t.Fatalf("member of user %d (linked: %v) found: %v", rec.id, rec.is(linked), got != nil)
		}
	}
	if read.user(-1) != nil || len(read.bearers(state.Digest{1})) != 0 || read.linkedTo(1) != nil {
		t.Error("found what is not there")
	}
	if _, err := loadTable(context.Background(), store, "p/", len(want)+1); err == nil {
		t.Error("a table with a slab missing was read")
	}
}

func TestTable_TheLastRecordOfAUserCounts(t *testing.T) {
	t.Parallel()
	tab := &table{}
	shared := state.Digest{9}
	for _, rec := range []record{{id: 7, desired: 1, unique: shared}, {id: 5, desired: 2, unique: shared}, {id: 7, desired: 3, unique: shared}, {unique: shared, flags: known}} {
		tab.add(rec)
	}
	tab.index()
	if got := tab.user(7); got == nil || got.desired != 3 {
		t.Errorf("user 7 = %+v, want the record added last", got)
	}
	if got := len(tab.byID); got != 2 {
		t.Errorf("%d users, want 2", got)
	}
	got := tab.bearers(shared)
	if len(got) != 3 || got[0].id != 0 || got[1].id != 5 || got[2].id != 7 {
		t.Errorf("bearers = %v, want the identity alone, 5 and 7", got)
	}
}

// A million users fit into the smallest function that can hold them.
func BenchmarkTable_Million(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		tab := &table{}
		for i := range 1_000_000 {
			tab.add(randomRecord(random, int64(i)+1))
		}
		tab.index()
	}
}
