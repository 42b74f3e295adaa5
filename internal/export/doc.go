// Package export writes a provider's records as files of JSON lines, exactly
// as the provider sent them, so that a run is published whole or not at all.
//
// A Run is a dataset at a scheduled time. Extract brings it forward as far as
// its context's deadline allows:
//
//	e := export.New(settings, seams)
//	run, err := e.NewRun(export.Trigger{Dataset: d, Scheduled: due})
//	answer, err := e.Extract(ctx, run)
//
// and answers Continue, Busy, Done or Doubtful. The caller calls again until
// one of the latter two; it needs no memory, because everything is in the store: a
// lease with the plan, and in each part's own metadata where the next part begins.
// Calls may overlap, repeat and die anywhere. docs/export-protocol.md states the
// protocol, docs/export-format.md what readers find.
//
// The way of a record: a provider's client reads an answer strictly, as a list or
// not at all; a pagination.Reader puts the pages together, so that no record is
// lost or doubled while the list moves; a redactor takes out what must not leave;
// a part collects the lines and is stored in one request. A record's bytes are
// never re-encoded: number text, key order, escapes and duplicate keys survive,
// only white space between tokens goes.
//
// A run whose rows are all stored is judged, see doubt.go. It is then published,
// or it is in doubt until a person accepts it.
//
// Errors are those of package providers for the source, those of package
// objectstore for the store, and ErrTrigger for a trigger that names no run.
// After any of them the same call may be repeated.
package export
