package proverelay

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// diverge changes one side of each of so many users without a word to the
// other, at random, and returns how many of them differ then.
func (r *rig) diverge(chance *rand.Rand, ids []int64) (differ int) {
	quiet := r.shop.Quiet()
	for i, id := range ids {
		differ++
		switch chance.IntN(8) {
		case 0:
			quiet.ChangeUser(id, map[string]any{"full_name": fmt.Sprintf("改姓 %05d", i)})
		case 1:
			quiet.ChangeUser(id, map[string]any{"email": nil, "field_2": fmt.Sprintf("F-%05d", i)})
		case 2:
			quiet.DeleteUser(id)
		case 3: // gone and disabled since the last event, and back again
			if !quiet.RestoreUser(id) {
				differ--
			}
		case 4, 5:
			for _, m := range r.crm.FindUnique(fmt.Sprintf("ss-%d", id)) {
				m.Values["column01"], m.Values["login_id"] = "書き換え", "other@mail.example"
				r.crm.Put(m)
			}
		case 6: // signed up without an event; in the app already, or not yet
			name := fmt.Sprintf("quiet%05d@mail.example", i)
			id := quiet.AddUser(map[string]any{"name": name, "email": name, "full_name": "新規"})
			if chance.IntN(2) == 0 {
				r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": fmt.Sprintf("ss-%d", id), "column01": "旧"}})
			}
		default:
			differ--
		}
	}
	return differ
}

// stir lets both lists change between any two pages: users with their
// webhooks, and members of others.
func (r *rig) stir(chance *rand.Rand, ids []int64) {
	added := 0
	r.shop.BetweenPages = func(int) {
		for range 4 {
			added++
			name := fmt.Sprintf("stir%05d@mail.example", added)
			r.shop.AddUser(map[string]any{"name": name, "email": name, "full_name": "途中"})
			r.shop.ChangeUser(ids[chance.IntN(len(ids))], map[string]any{"full_name": fmt.Sprintf("途中 %05d", added)})
			r.shop.DeleteUser(ids[chance.IntN(len(ids))])
		}
	}
	var others []string
	r.crm.BetweenPages = func(int) {
		others = append(others, r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": fmt.Sprintf("other-%05d", len(others))}}))
		if chance.IntN(2) == 0 {
			r.crm.Delete(others[chance.IntN(len(others))])
		}
	}
}

// repaired is what a reconcile and the relay make of a random divergence.
type repaired struct {
	differ, wrong int
	first, second reconcile.Report
	untouched     bool // members of others
}

func repair(t *testing.T, n int, alter func([]byte) []byte) (d repaired) {
	t.Helper()
	o := options{users: n, members: n / 5, unlimited: true, workers: workers, vars: manyLeave}
	inBubble(t, o, func(r *rig) {
		chance := prove.Random(5)
		r.shop.Knobs.Order = supersaastest.Shuffled
		r.crm.Shuffle(chance.Uint64())
		r.settled()
		ids := r.ids()
		for range n / 8 {
			r.shop.DeleteUser(ids[chance.IntN(len(ids))])
		}
		r.drained(day)
		foreign := r.foreign()
		d.differ = r.diverge(chance, ids)
		r.relays.alter = alter
		r.stir(chance, ids)
		d.first = r.reconcile()
		r.drained(day)
		d.wrong = len(r.wrong(r.ids()))
		if faults := r.wrong(r.ids()); alter == nil && len(faults) > 0 {
			t.Errorf("%.500q", faults)
		}
		r.shop.BetweenPages, r.crm.BetweenPages = nil, nil
		d.second = r.reconcile()
		d.untouched = bytes.Equal(r.foreign(), foreign)
	})
	return d
}

func TestRepair(t *testing.T) {
	t.Parallel()
	n := prove.Size(10_000, prove.Sample(200, 100))
	d := repair(t, n, nil)
	prove.Figure(t, d.wrong == 0 && d.untouched && d.first.Drift == 0 && d.first.Sent > 0, fmt.Sprintf("reconcile of %d users of whom %d differ, lists in other orders that change meanwhile", n, d.differ),
		"every user exactly, members of others byte-equal", "%d wrong, %d of %d users put on the queue, others untouched %t, drift %d", d.wrong, d.first.Sent, d.first.Users, d.untouched, d.first.Drift)
	prove.Figure(t, d.second.Sent == 0 && d.second.Drift == 0, "a second run over still lists", "puts nobody on the queue", "%d of %d", d.second.Sent, d.second.Users)
}

// A relay that trusts its row, whatever a list showed, repairs nothing that an
// operator changed.
func TestRepair_WithoutForce(t *testing.T) {
	t.Parallel()
	d := repair(t, prove.Size(1000, 50), func(event []byte) []byte {
		return bytes.ReplaceAll(event, []byte(`\"force\":true`), []byte(`\"force\":false`))
	})
	prove.Figure(t, d.wrong > 0 && d.second.Sent > 0, "guard removed: a row is trusted although the list differs", "must leave users wrong", "%d wrong, %d sent again", d.wrong, d.second.Sent)
}
