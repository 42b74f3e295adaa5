package proveexport

import (
	"cmp"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/pkg/providers/sandbox"
)

var healthySeed = flag.Int64("healthy", -1, "run this one seed of each situation in which nobody lies, and print its log")

// A health is a world in which nobody lies.
type health struct {
	*world

	provider *provider
	chance   *rand.Rand
	faults   []string
}

// A situation is one in which no run may be in doubt. run does what happens,
// and judges each run with complete.
type situation struct {
	name string
	run  func(t *testing.T, seed uint64, chance *rand.Rand) *health
	once []uint64 // further seeds, which were wrong once
}

func openHealth(t *testing.T, seed uint64, name string, rows, page int, chance *rand.Rand) *health {
	t.Helper()
	time.Sleep(time.Until(at(-24 * 60)))
	i := slices.IndexFunc(ways, func(w way) bool { return w.name == name })
	if i < 0 {
		t.Fatal("no way of paging is called " + name)
	}
	a := ways[i].open(sandbox.Options{Seed: seed, Records: cmp.Or(rows, -1), Rate: -1}, page, chance)
	if a.paging.clamp > 0 { // pages of two or three rows do not outrun a change with every third request
		a.paging.clamp = max(a.paging.clamp, 4)
	}
	h := &health{chance: chance, provider: &provider{account: a, counts: map[string]int{}, names: ids{a.id, map[string]string{}}}}
	h.world = newWorld(t, a, ways[i].dataset, h.provider)
	h.tell = h.provider.remark
	h.provider.edited = h.model.look
	return h
}

// complete brings a run to its end and compares it with the model.
func (h *health) complete(event string) export.Manifest {
	h.Helper()
	answer := h.export(event)
	if answer.Status != export.Done {
		h.faults = append(h.faults, fmt.Sprintf("%s: %s", answer.Status, h.reason))
		return export.Manifest{}
	}
	m := h.verified(answer.Manifest)
	faults := h.model.compare(h.rows(m), m, nil)
	if m.Rejects > 0 {
		faults = append(faults, fmt.Sprintf("%d rejects", m.Rejects))
	}
	if len(faults) > 0 {
		h.faults = append(h.faults, fmt.Sprintf("%d: %s", len(faults), strings.Join(faults[:min(len(faults), 8)], ", ")))
	}
	return m
}

// third edits before every third request, or before a third of them.
func (h *health) third(random bool, edits ...func(*rand.Rand)) {
	h.provider.before = func(n int) {
		if random && h.chance.IntN(3) == 0 || !random && n%3 == 0 {
			pick(h.chance, edits...)(h.chance)
			h.provider.forget()
		}
	}
}

// still stops what third began.
func (h *health) still() { h.provider.before = nil }

func (h *health) noneOwed(m export.Manifest) {
	if owed := h.model.owed(m, nil); len(owed) > 0 {
		h.faults = append(h.faults, "owed "+strings.Join(owed[:min(len(owed), 8)], ", "))
	}
}

// scattered is an order that nobody knows and that stays.
func (h *health) scattered(seed uint64) {
	h.sorted(func(row string) string {
		sum := fnv.New64a()
		_, _ = fmt.Fprint(sum, seed, h.id(row))
		return string(sum.Sum(nil))
	}, false)
}

// sorted sorts the list by a key, and equal keys by the sandbox's own order.
func (h *health) sorted(key func(row string) string, descending bool) {
	h.provider.order = func(rows []string) {
		keys := map[string]string{}
		for _, row := range rows {
			keys[row] = key(row)
		}
		slices.SortStableFunc(rows, func(a, b string) int {
			if descending {
				a, b = b, a
			}
			return strings.Compare(keys[a], keys[b])
		})
	}
}

func (h *health) id(element string) string { return h.provider.names.of(record(element)) }

// movingUsers: rows come, go, change and cancel out before a third of the requests.
func movingUsers(way string, clamp int) func(*testing.T, uint64, *rand.Rand) *health {
	return func(t *testing.T, seed uint64, chance *rand.Rand) *health {
		h := openHealth(t, seed, way, 150, 10, chance)
		a := h.account
		a.paging.clamp = clamp
		h.third(true, a.remove, func(c *rand.Rand) { a.remove(c); a.insert(c) }, a.insert)
		h.complete(h.night(1))
		return h
	}
}

// newcomers: an order that nobody knows and that stays, and another row before
// every third request.
func newcomers(way string) func(*testing.T, uint64, *rand.Rand) *health {
	return func(t *testing.T, seed uint64, chance *rand.Rand) *health {
		h := openHealth(t, seed, way, 10+chance.IntN(50), 4+chance.IntN(12), chance)
		h.scattered(seed)
		h.third(false, h.account.insert)
		h.complete(h.night(1))
		h.still()
		h.complete(h.night(2))
		return h
	}
}

// byUpdate: members in the order of their last change, while another writes
// them.
func byUpdate(descending bool) func(*testing.T, uint64, *rand.Rand) *health {
	return func(t *testing.T, seed uint64, chance *rand.Rand) *health {
		h := openHealth(t, seed, pick(chance, "yappli/users, offset", "yappli/users, page"), 20+chance.IntN(60), 4+chance.IntN(12), chance)
		h.sorted(func(row string) string {
			_, after, _ := strings.Cut(row, `"updated_at":"`)
			return after[:min(len(after), len(time.DateTime))]
		}, descending)
		h.third(false, h.account.change, h.account.change, h.account.change, h.account.insert)
		h.complete(h.night(1))
		h.still()
		h.complete(h.night(2))
		return h
	}
}

// leaving: orders are changed while they are listed, and so leave the window.
func leaving(t *testing.T, seed uint64, chance *rand.Rand) *health {
	h := openHealth(t, seed, "shopline/orders", 10+chance.IntN(50), 2+chance.IntN(9), chance)
	h.complete(h.night(0))
	h.touch(chance, len(h.model.now))
	h.provider.forget()
	h.third(false, h.account.change, h.account.change, h.account.insert)
	h.complete(h.night(1))
	h.still()
	h.noneOwed(h.complete(h.night(2)))
	return h
}

// first: a first run, of an empty shop or not, and a night without any change
// after it.
func first(empty bool) func(*testing.T, uint64, *rand.Rand) *health {
	return func(t *testing.T, seed uint64, chance *rand.Rand) *health {
		rows := 1 + chance.IntN(60)
		if empty {
			rows = 0
		}
		h := openHealth(t, seed, ways[seed%uint64(len(ways))].name, rows, 2+chance.IntN(12), chance)
		h.complete(h.night(1))
		m := h.complete(h.night(2))
		if h.account.times != nil {
			h.noneOwed(m)
		}
		return h
	}
}

func backfill(t *testing.T, seed uint64, chance *rand.Rand) *health {
	ranged := []string{"shopline/customers", "shopline/orders", "supersaas/appointments, range", "supersaas/appointments, changes"}
	h := openHealth(t, seed, ranged[seed%4], chance.IntN(60), 2+chance.IntN(12), chance)
	if chance.IntN(2) == 0 {
		h.complete(h.night(0))
	}
	from, to := at(0).AddDate(-20, 0, 0), at(0).AddDate(10, 0, 0)
	if h.account.times != nil && chance.IntN(2) == 0 { // the sandboxes' records begin in April 2025
		from = time.Date(2025, 4, 1, chance.IntN(24), 0, 0, 0, time.UTC).AddDate(0, 0, chance.IntN(3))
		to = from.Add(time.Duration(1+chance.IntN(48)) * time.Hour)
	}
	due := strings.TrimSuffix(h.night(1), "}")
	h.complete(due + fmt.Sprintf(`,"from":%q,"to":%q}`, from.Format(time.RFC3339), to.Format(time.RFC3339)))
	h.complete(h.night(2))
	return h
}

// healthy are the situations in which nobody is doubted.
var healthy = []situation{
	{name: "a list that moves, by offset", run: movingUsers("yappli/users, offset", 0)},
	{name: "a list that moves, by offset, clamped", run: movingUsers("yappli/users, offset", 7)},
	{name: "a list that moves, by page", run: movingUsers("yappli/users, page", 0)},
	{name: "a list that moves, by page, clamped", run: movingUsers("yappli/users, page", 7)},
	{name: "users in unknown order with newcomers", run: newcomers("supersaas/users")},
	{name: "appointments in unknown order with newcomers", run: newcomers("supersaas/appointments, range")},
	{name: "members by update, ascending, while others write", run: byUpdate(false)},
	{name: "members by update, descending, while others write", run: byUpdate(true), once: []uint64{169, 607}},
	{name: "orders that leave the window", run: leaving, once: []uint64{505, 992}},
	{name: "an empty shop", run: first(true)},
	{name: "a first run, and a night without change", run: first(false)},
	{name: "a backfill", run: backfill},
}

// TestNobodyHealthyIsDoubted runs each situation with many seeds: every run is
// complete, and none is in doubt.
func TestNobodyHealthyIsDoubted(t *testing.T) {
	readLoop(t)
	for _, s := range healthy {
		t.Run(s.name, func(t *testing.T) { s.prove(t) })
	}
}

func (s situation) prove(t *testing.T) {
	t.Helper()
	var seeds []uint64
	for seed := range uint64(sized(1000, 1)) {
		seeds = append(seeds, seed)
	}
	for _, seed := range s.once {
		if seed >= uint64(len(seeds)) {
			seeds = append(seeds, seed)
		}
	}
	if *healthySeed >= 0 {
		seeds = []uint64{uint64(*healthySeed)}
	}
	n := len(seeds)
	began := time.Now()
	all := make([]*health, n)
	abreast(t, n, func(t *testing.T, i int) {
		seed := seeds[i]
		h := s.run(t, seed, rand.New(rand.NewPCG(seed, 0x4ea1)))
		h.close()
		all[i] = h
	})
	wrong, requests := 0, 0
	for i, h := range all {
		requests += len(h.provider.log)
		if len(h.faults) == 0 {
			continue
		}
		if wrong++; wrong <= 3 {
			log := h.provider.log
			t.Logf("%s, seed %d: %s\n%s", s.name, seeds[i], strings.Join(h.faults, "; "), strings.Join(log[:min(len(log), 400)], "\n"))
		}
	}
	figure(t, wrong == 0, "nobody healthy is doubted: "+s.name, "every run complete, nothing missing", "%d of %d seeds wrong", wrong, n)
	t.Logf("%v and %d requests a seed", time.Since(began)/time.Duration(n), requests/n)
}
