package export_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
	"hikyaku/pkg/providers/shopline"
)

// member renders a customer with an address to keep back, and some with a note.
func member(notes func(n int) bool) func(n int) string {
	return func(n int) string {
		note := ""
		if notes(n / 1000) {
			note = `,"secret_quetion":"犬の名前"`
		}
		return fmt.Sprintf(`{"id":%q,"login_id":"hanako%d@example.jp","column07":"山田","備考":{"電話":"0900000000"}%s}`, id(n), n, note)
	}
}

func never(int) bool { return false }

// redacting is a bench of Yappli's members with a redaction.
func redacting(t *testing.T, rows int, f export.Fields) *bench {
	t.Helper()
	b := newBench(t, newList(pagination.ByOffset, rows))
	b.dataset = dataset(t, "yappli/users")
	b.list.render = member(never)
	b.set.Fields = map[string]export.Fields{"yappli/users": f}
	return b
}

// stored lists what lies under the prefix of readers and of rejects.
func (b *bench) storedKeys() []string {
	b.Helper()
	var keys []string
	for _, prefix := range []string{"shop/exports/", "shop/rejects/", "shop/athena/"} {
		for info, err := range b.store.List(b.Context(), prefix, "") {
			if err != nil {
				b.Fatal(err)
			}
			keys = append(keys, info.Key)
		}
	}
	return keys
}

// TestRedaction_RefusesAPathThatMatchesNothing: what it was to keep back does
// not get out, and the error says what may have been meant.
func TestRedaction_RefusesAPathThatMatchesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fields export.Fields
		want   string
	}{
		{export.Fields{Drop: []string{"login-id"}}, "none has login-id, which is to be dropped (a record has what looks like it: login_id)"},
		{export.Fields{Hash: []string{"LoginID"}}, "none has LoginID, which is to be hashed (a record has what looks like it: login_id)"},
		{export.Fields{Drop: []string{"login_id", "colunm07"}}, "none has colunm07, which is to be dropped (a record has what looks like it: column07)"},
		{export.Fields{Drop: []string{"member.login_id"}}, "none has member.login_id, which is to be dropped (a record has column07, id, login_id and 1 other field)"},
		{export.Fields{Drop: []string{"備考.住所"}}, "none has 備考.住所, which is to be dropped (in 備考 has 1 field not named in the provider's documents)"},
		{export.Fields{Drop: []string{"x"}, Hash: []string{"y"}}, "none has x, which is to be dropped (a record has column07, id, login_id and 1 other field); and none has y, which is to be hashed"},
	} {
		for _, rows := range []int{1, 99, 100, 350} {
			b := redacting(t, rows, c.fields)
			if rows > 99 { // a reject must not be stored either
				b.list.render = func(n int) string {
					if n == 1000 {
						return `{"id":"r0001000","x":"` + "\xff" + `"}`
					}
					return member(never)(n)
				}
			}
			_, err := b.exporter().Extract(t.Context(), b.run(due))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "redaction of yappli/users: among ") ||
				strings.Count(err.Error(), "Nothing was stored") != 1 || !strings.Contains(err.Error(), "yappli/users:login_id,column07?") {
				t.Errorf("%+v, %d rows: %v\nwant %s", c.fields, rows, err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "example.jp") || strings.Contains(err.Error(), "電話") || strings.Contains(err.Error(), "犬")) {
				t.Errorf("the error shows what is in the records: %v", err)
			}
			if keys := b.storedKeys(); len(keys) > 0 {
				t.Errorf("%+v, %d rows: stored are %v", c.fields, rows, keys)
			}
		}
	}
}

// TestRedaction_JudgesTheFirstPartWhole: a path that only the last record of the
// first part has is right, and one that first appears in the second part is not.
func TestRedaction_JudgesTheFirstPartWhole(t *testing.T) {
	t.Parallel()
	for last, right := range map[int]bool{12: true, 30: false} {
		b := redacting(t, 40, export.Fields{Drop: []string{"login_id", "secret_quetion"}})
		b.set.PartBytes = 1500 // some 16 records
		b.list.render = member(func(n int) bool { return n == last })
		a, err := b.exporter().Extract(t.Context(), b.run(due))
		if (err == nil) != right {
			t.Errorf("met at record %d: %v", last, err)
		}
		if !right {
			if keys := b.storedKeys(); len(keys) > 0 {
				t.Errorf("stored are %v", keys)
			}
			continue
		}
		m := b.manifest(a.Manifest)
		if len(m.Parts) < 2 || m.Rows != 40 {
			t.Errorf("%d rows in %d parts", m.Rows, len(m.Parts))
		}
		for _, l := range b.lines(m) {
			if strings.Contains(l, "example.jp") || strings.Contains(l, "犬") {
				t.Error("it got out:", l)
			}
		}
	}
}

// TestRedaction_OfAFewRecords follows nightly runs: what a published run has met
// may be missing from a few records; what none has met may not.
func TestRedaction_OfAFewRecords(t *testing.T) {
	t.Parallel()
	type night struct {
		rows   int
		notes  bool // the records have secret_quetion
		fields string
		refuse bool
	}
	for name, nights := range map[string][]night{
		"known":                          {{5, true, "login_id secret_quetion", false}, {5, false, "login_id secret_quetion", false}, {5, false, "login_id secret_quetion", false}},
		"known, and yet not among many":  {{5, true, "login_id secret_quetion", false}, {100, false, "login_id secret_quetion", true}},
		"not known":                      {{5, false, "login_id secret_quetion", true}},
		"a run without records says nil": {{0, false, "login_id secret_quetion", false}, {5, false, "login_id secret_quetion", true}},
		"handed on over empty runs":      {{5, true, "login_id secret_quetion", false}, {0, false, "login_id secret_quetion", false}, {5, false, "login_id secret_quetion", false}},
		"rare by nature":                 {{100, false, "login_id secret_quetion?", false}},
		"rare by nature, and met":        {{100, true, "login_id secret_quetion?", false}, {5, false, "login_id secret_quetion", false}},
		"a new path next to a known one": {{5, true, "login_id secret_quetion", false}, {5, true, "login_id secret_quetion loginid", true}},
		"met before it was named":        {{5, true, "login_id", false}, {5, false, "login_id secret_quetion", true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, hash := range []bool{false, true} {
				b := redacting(t, 0, export.Fields{})
				b.feed.PageSize, b.set.PartBytes = 100, 0
				for i, n := range nights {
					b.list.rows = newList(pagination.ByCursor, n.rows).rows
					b.list.render = member(func(int) bool { return n.notes })
					f := export.Fields{Drop: strings.Fields(n.fields)}
					if hash {
						f = export.Fields{Hash: f.Drop}
					}
					b.set.Fields = map[string]export.Fields{"yappli/users": f}
					at := due.Add(time.Duration(i) * time.Hour)
					_, err := b.exporter().Extract(t.Context(), b.run(at))
					if (err != nil) != n.refuse {
						t.Fatalf("night %d: %v", i, err)
					}
				}
			}
		})
	}
}

// TestRedaction_KnowsAPathOfItsOwnSourceOnly: what another account or another
// treatment has met proves nothing.
func TestRedaction_KnowsAPathOfItsOwnSourceOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		account string
		fields  export.Fields
		refuse  bool
	}{
		{"a", export.Fields{Drop: []string{"secret_quetion"}}, false},
		{"b", export.Fields{Drop: []string{"secret_quetion"}}, true},
		{"a", export.Fields{Hash: []string{"secret_quetion"}}, true},
	} {
		b := redacting(t, 5, export.Fields{Drop: []string{"secret_quetion"}})
		b.feed.Account, b.list.render = "a", member(func(int) bool { return true })
		b.extract(due)
		b.feed.Account, b.list.render = c.account, member(never)
		b.set.Fields = map[string]export.Fields{"yappli/users": c.fields}
		if _, err := b.exporter().Extract(t.Context(), b.run(due.Add(time.Hour))); (err != nil) != c.refuse {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestRedaction_IsRecorded, the same wherever the parts are cut.
func TestRedaction_IsRecorded(t *testing.T) {
	t.Parallel()
	f := export.Fields{Drop: []string{"column07", "login_id"}, Hash: []string{"備考.電話", "secret_quetion?", "column08?"}}
	for _, bytes := range []int64{500, 1500, 0} {
		b := redacting(t, 40, f)
		b.set.PartBytes = bytes
		b.list.render = member(func(n int) bool { return n == 38 })
		m := b.manifest(b.extract(due).Manifest)
		const run = "20261122T003000Z"
		want := []export.Redaction{
			{Path: "column07", Action: "drop", MatchedBy: run},
			{Path: "login_id", Action: "drop", MatchedBy: run},
			{Path: "column08", Action: "hash", Rare: true},
			{Path: "secret_quetion", Action: "hash", Rare: true, MatchedBy: run},
			{Path: "備考.電話", Action: "hash", MatchedBy: run},
		}
		if !reflect.DeepEqual(m.Redaction, want) || strings.Join(m.Hashed, " ") != "備考.電話 secret_quetion column08" {
			t.Errorf("parts of %d: %+v, hashed %v", bytes, m.Redaction, m.Hashed)
		}
		b.list.rows = b.list.rows[:30]
		next := b.manifest(b.extract(due.Add(time.Hour)).Manifest)
		if next.Redaction[3].MatchedBy != run || next.Redaction[1].MatchedBy != "20261122T013000Z" {
			t.Errorf("the next run: %+v", next.Redaction)
		}
	}
}

// TestRedaction_GoesOnAfterAStop: a run that has stored a part is judged no
// more, whatever its next part holds.
func TestRedaction_GoesOnAfterAStop(t *testing.T) {
	t.Parallel()
	b := redacting(t, 60, export.Fields{Drop: []string{"login_id", "secret_quetion"}})
	b.list.render = member(func(n int) bool { return n < 3 })
	if a := b.stopAfter(due, 3); a.Status != export.Continue || a.Parts == 0 {
		t.Fatal(a)
	}
	b.list.edit = nil
	m := b.manifest(b.extract(due).Manifest)
	if m.Rows != 60 || m.Redaction[1].MatchedBy != m.Run {
		t.Errorf("%d rows, %+v", m.Rows, m.Redaction)
	}
}

// TestRedaction_OfAnOlderVersionIsNotContinued: its parts were never judged.
func TestRedaction_OfAnOlderVersionIsNotContinued(t *testing.T) {
	t.Parallel()
	b := redacting(t, 60, export.Fields{Drop: []string{"login_id"}})
	b.stopAfter(due, 3)
	b.list.edit = nil
	for _, key := range b.storedKeys() {
		info, err := b.store.Head(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		var point map[string]json.RawMessage
		if err := json.Unmarshal([]byte(info.Metadata["checkpoint"]), &point); err != nil {
			t.Fatal(err)
		}
		delete(point, "redacted")
		raw, _ := json.Marshal(point)
		b.put(key, b.object(key), map[string]string{"checkpoint": string(raw)})
	}
	if _, err := b.exporter().Extract(t.Context(), b.run(due)); err == nil || !strings.Contains(err.Error(), "begun by a version that did not look whether the paths match") {
		t.Errorf("got %v", err)
	}
}

// TestRedaction_RefusalIsNoDoubt: a run of rejects alone is not judged, and
// shows no record.
func TestRedaction_RefusalIsNoDoubt(t *testing.T) {
	t.Parallel()
	b := redacting(t, 20, export.Fields{Drop: []string{"login-id"}})
	b.list.render = notUTF8(func(int) bool { return true })
	b.doubt(due)
	for _, p := range b.manifest("shop/exports/yappli/users/dt=2026-11-22/run=20261122T003000Z/_doubt.json").Parts {
		if raw := string(b.object(p.RejectsKey)); strings.Contains(raw, `"data"`) {
			t.Error("rejects show a record")
		}
	}
	b.list.render = member(never)
	if _, err := b.exporter().Extract(t.Context(), b.run(due.Add(time.Hour))); err == nil || errors.Is(err, export.ErrTrigger) {
		t.Errorf("got %v", err)
	}
	if !b.absent("shop/exports/yappli/users/dt=2026-11-22/run=20261122T013000Z/_doubt.json") {
		t.Error("a refused run is in doubt")
	}
}

// TestRedaction_ShowsEveryDocumentedName: an error may name the fields of the
// providers' types, which are those of their documents.
func TestRedaction_ShowsEveryDocumentedName(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]reflect.Type{
		"shopline/customers": reflect.TypeFor[shopline.Customer](), "shopline/orders": reflect.TypeFor[shopline.Order](),
	} {
		var fields []string
		for i := range of.NumField() {
			if field, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ","); field != "" && field != "-" {
				fields = append(fields, field)
			}
		}
		if len(fields) < 20 {
			t.Errorf("%s: %d fields", name, len(fields))
		}
		b := newBench(t, newList(pagination.ByCursor, 1))
		b.dataset = dataset(t, name)
		b.dataset.Incremental, b.dataset.Ranged, b.dataset.Passes = false, false, nil
		for _, field := range fields {
			b.set.Fields = map[string]export.Fields{name: {Drop: []string{"no-such"}}}
			b.list.render = func(n int) string { return fmt.Sprintf(`{"id":%q,%q:0}`, id(n), field) }
			if _, err := b.exporter().Extract(t.Context(), b.run(due)); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s: %s is not named: %v", name, field, err)
			}
		}
	}
}
