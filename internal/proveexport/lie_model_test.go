package proveexport

import (
	"fmt"
	"slices"
	"time"

	"hikyaku/internal/export"
)

// A model is what the source holds and has held during a run, by code of its
// own: the sandbox is asked directly, whatever the export is told.
type model struct {
	account *account
	ids     ids
	now     map[string]string // record by id
	touched map[string]bool   // ids that came, went or changed during the run
	absent  map[string]bool   // ids that came or went during the run
	seen    map[string]bool   // records that it held at some time during the run
	union   map[string]bool   // records of all complete runs
}

func newModel(a *account) *model {
	m := &model{account: a, ids: ids{a.id, map[string]string{}}, union: map[string]bool{}}
	m.begin()
	return m
}

// read returns the records by id.
func (m *model) read() map[string]string {
	all := map[string]string{}
	for _, record := range m.account.all() {
		all[m.ids.of(record)] = record
	}
	return all
}

// begin forgets what came before the run that begins.
func (m *model) begin() {
	m.now, m.touched, m.absent, m.seen = m.read(), map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, record := range m.now {
		m.seen[record] = true
	}
}

// look notes what an edit has done.
func (m *model) look() {
	before := m.now
	m.now = m.read()
	for id, record := range m.now {
		old, there := before[id]
		m.touched[id] = m.touched[id] || old != record
		m.absent[id] = m.absent[id] || !there
		m.seen[record] = true
	}
	for id := range before {
		if _, there := m.now[id]; !there {
			m.touched[id], m.absent[id] = true, true
		}
	}
}

// due reports whether a complete run must hold a record.
func (m *model) due(record string, of export.Manifest) bool {
	if m.account.times == nil {
		return true
	}
	times := m.account.times(record)
	for _, pass := range append(slices.Clone(of.Passes), "") {
		at, ok := times[pass]
		// The ends of a window are compared to the second or better.
		if ok && (of.Window.From.IsZero() || at.After(of.Window.From.Add(time.Second))) && at.Before(of.Window.To.Add(-time.Second)) {
			return true
		}
	}
	return false
}

// compare returns how the lines of a complete run differ from what the source
// held throughout it: each record as it was, those that changed as they were at
// some time. Of those excused a run may have rejected as many as it states.
func (m *model) compare(lines []string, of export.Manifest, excused map[string]bool) (faults []string) {
	got, gotID := map[string]bool{}, map[string]bool{}
	for _, line := range lines {
		if line == "" { // of a part without rows
			continue
		}
		gotID[m.ids.of(line)] = true
		if got[line] {
			faults = append(faults, "doubled "+m.ids.of(line))
		}
		if !m.seen[line] {
			faults = append(faults, "never held "+clip(line))
		}
		got[line] = true
		m.union[line] = true
	}
	rejected := 0
	for id, record := range m.now {
		there := got[record] || m.touched[id] && gotID[id]
		switch {
		case there || m.absent[id] || !m.due(record, of):
		case excused[id]:
			rejected++
		default:
			faults = append(faults, "missing "+id)
		}
	}
	if rejected > of.Rejects {
		faults = append(faults, fmt.Sprintf("missing %d records that are bad, of which %d were rejected", rejected, of.Rejects))
	}
	slices.Sort(faults)
	return faults
}

// owed returns the ids of records that no complete run holds as they are now,
// although the windows up to the latest run's have reached them.
func (m *model) owed(latest export.Manifest, excused map[string]bool) (ids []string) {
	latest.Window.From = time.Time{}
	for id, record := range m.now {
		if !m.union[record] && !excused[id] && m.due(record, latest) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func clip(s string) string {
	if len(s) > 160 {
		return s[:160] + "..."
	}
	return s
}
