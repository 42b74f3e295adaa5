package shoplinetest

import (
	"encoding/json"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

const (
	nextOrder    = "orders" // in the section "counts", as is the next
	nextCustomer = "customers"
	lastStaff    = "last" // in the section "staff", beside the tokens
)

type keptRow struct {
	Raw      string `json:"raw,omitempty"` // empty: as invented
	Archived bool   `json:"archived,omitempty"`
	Gone     bool   `json:"gone,omitempty"`
}

// note keeps a record that is no longer as invented. It is kept as text, because it is
// served with the bytes that it has.
func (t *table) note(r *row) {
	t.kept.Put(r.id, keptRow{Raw: string(r.raw), Archived: r.archived})
}

// resume takes over the records that were kept, beside the invented ones.
func (t *table) resume(kept *sandbox.Section) {
	t.kept = kept
	sandbox.Each(kept, func(id string, k keptRow) {
		switch place, found := t.find(id); {
		case k.Gone:
			t.remove(id)
		case k.Raw == "" && found:
			t.rows[place].archived = k.Archived
		case k.Raw != "":
			var record order
			_ = json.Unmarshal([]byte(k.Raw), &record) // a slip of type leaves a field empty
			t.set(&row{index: record.index(), raw: json.RawMessage(k.Raw), archived: k.Archived})
		}
	})
}

func (s *Records) resume() {
	s.customers.resume(s.journal.Section("customers"))
	s.orders.resume(s.journal.Section("orders"))
	sandbox.Each(s.journal.Section("counts"), func(key string, n int) {
		switch key {
		case nextOrder:
			s.orders.next = n
		case nextCustomer:
			s.customers.next = n
		}
	})
}

func (s *Records) keepCount() {
	counts := s.journal.Section("counts")
	counts.Put(nextOrder, s.orders.next)
	counts.Put(nextCustomer, s.customers.next)
}

func (s *Records) commit() { _ = s.journal.Commit() } // Server.Err says it

type keptStaff struct {
	Expires time.Time `json:"expires,omitzero"`
	Paths   []string  `json:"paths,omitempty"`
	Allowed []string  `json:"allowed,omitempty"`

	Serial int    `json:"serial,omitempty"` // of lastStaff alone, as is Newest
	Newest string `json:"newest,omitempty"`
}

// note keeps a staff token. The lock is held.
func (s *Staff) note(token string) {
	t := s.tokens[token]
	s.kept.Put(token, keptStaff{Expires: t.expires, Paths: t.paths, Allowed: t.allowed})
	s.kept.Put(lastStaff, keptStaff{Serial: s.serial, Newest: s.newest})
}

func (s *Staff) resume(kept *sandbox.Section) {
	s.kept = kept
	sandbox.Each(kept, func(token string, k keptStaff) {
		if token == lastStaff {
			s.serial, s.newest = k.Serial, k.Newest
			return
		}
		s.tokens[token] = &staffToken{expires: k.Expires, paths: k.Paths, allowed: k.Allowed}
	})
}

type keptCode struct {
	Made     time.Time `json:"made"`
	Redirect string    `json:"redirect"`
}

func (a *app) resume(kept *sandbox.Section) {
	a.kept = kept
	sandbox.Each(kept, func(value string, k keptCode) {
		a.codes[value] = code{made: k.Made, redirect: k.Redirect}
		a.serial++
	})
}

type keptCallback struct {
	Target string `json:"target"`
	Body   string `json:"body"`
}

func (p *reports) resume(j *sandbox.Journal) {
	p.journal, p.kept, p.callbacks, p.waiting = j, j.Section("reports"), j.Section("callbacks"), map[string]keptCallback{}
	sandbox.Each(p.kept, func(name, content string) { p.files[name] = []byte(content) })
	sandbox.Each(p.callbacks, func(job string, message keptCallback) { p.waiting[job] = message })
}

// resume takes over what was kept beside the records.
func (s *Server) resume() {
	j := s.Journal()
	s.Tokens.KeepIn(j.Section("tokens"))
	s.Staff.resume(j.Section("staff"))
	s.app.resume(j.Section("codes"))
	s.reports.resume(j)
}
