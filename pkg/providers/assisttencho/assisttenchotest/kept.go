package assisttenchotest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"hikyaku/pkg/providers/sandbox"
)

// The keys of the section "counts".
const (
	nextID     = "next order"
	codesSoFar = "codes"
)

func keptKey(id int) string { return fmt.Sprintf("%019d", id) }

type keptOrder struct {
	Raw  json.RawMessage `json:"raw,omitempty"`
	Gone bool            `json:"gone,omitempty"`
}

// note keeps an order that is no longer as invented.
func (t *orders) note(r record) { t.kept.Put(keptKey(r.id), keptOrder{Raw: r.raw}) }

func (t *orders) keepAll() {
	t.kept.Clear()
	for _, r := range t.list {
		t.note(r)
	}
	t.counts.Put(nextID, t.nextID)
}

// resume takes over the orders that were kept, beside the invented ones.
func (t *orders) resume(kept *sandbox.Section) {
	sandbox.Each(kept, func(key string, k keptOrder) {
		id, _ := strconv.Atoi(key)
		switch at, found := t.find(key); {
		case k.Gone && found:
			t.list = slices.Delete(t.list, at, at+1)
		case k.Gone:
		case found:
			t.list[at].raw = k.Raw
		default:
			t.list = slices.Insert(t.list, at, record{id: id, raw: k.Raw})
		}
	})
}

// resume takes over what was kept.
func (s *Server) resume() {
	section := s.Journal().Section
	s.orders.kept, s.orders.counts = section("orders"), section("counts")
	s.orders.resume(s.orders.kept)
	s.app.counts = s.orders.counts
	sandbox.Each(s.orders.counts, func(name string, n int) {
		switch name {
		case nextID:
			s.orders.nextID = n
		case codesSoFar:
			s.app.codes = n
		}
	})
	s.Tokens.KeepIn(section("tokens"))
}
