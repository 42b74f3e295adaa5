package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// newRecord stands in the address of a form in the place of an id.
const newRecord = "new"

// record is one record's form, and below it what follows from a change.
func (s *Server) record() page {
	return page{Name: "record", Path: "/sandboxes/{provider}/{kind}/{id}", Under: "sandboxes", load: s.loadRecord, live: []string{"follow"}}
}

// A recordData is what the page of a record shows.
type recordData struct {
	Provider, Kind string
	ID             string // empty: a new one
	Gone           bool
	Fixed          bool
	Fields         []formField
	User           string // of the booking page, whom the record is about; empty: nobody
	Follow         *follow
}

// ListPath is the address of the list of its kind.
func (d recordData) ListPath() string { return kindCount{Provider: d.Provider, Name: d.Kind}.Path() }

// Watched reports whether a change of the record can be followed to its end.
func (d recordData) Watched() bool { return d.Provider == providers.SuperSaaS }

// A formField is a field of a record with what it holds.
type formField struct {
	sandbox.RecordField

	Value string
}

// Long reports whether it has several lines.
func (f formField) Long() bool { return len(f.Value) > 100 }

func (s *Server) loadRecord(ctx context.Context, r *http.Request) (any, error) {
	d := recordData{Provider: r.PathValue("provider"), Kind: r.PathValue("kind")}
	editor, err := s.editor(d.Provider)
	if err == nil && editor == nil {
		err = saying("fault.real")
	}
	if err != nil {
		return nil, err
	}
	kind, err := kindOf(editor, d.Kind)
	if err != nil {
		return nil, err
	}
	d.Fixed = kind.Fixed
	var row sandbox.Row
	if id := r.PathValue("id"); id != newRecord {
		d.ID = id
		if row, err = findRecord(editor, d.Kind, id); err != nil {
			d.Gone = true // its change may still be on its way
		}
		if d.Watched() {
			s.remember(ctx, id)
		}
	}
	for _, f := range kind.Fields {
		field := formField{RecordField: f, Value: row.Fields[f.Name]}
		if f.Secret {
			field.Value = ""
		}
		if d.ID == "" && f.ReadOnly {
			continue
		}
		d.Fields = append(d.Fields, field)
	}
	if d.Watched() && d.ID != "" {
		d.User = cmp.Or(row.Fields["user_id"], map[bool]string{true: d.ID}[d.Kind == "users"])
		d.Follow = s.follow(ctx, d.User)
	}
	return d, nil
}

// A follow is the way of a person's last change from SuperSaaS to Yappli.
type follow struct {
	Begun   time.Time
	Stages  []stage
	Ended   bool
	Arrived bool
	Bad     *Event    // why it did not go on
	Next    time.Time // when it is tried again; zero: nobody knows
	Way     string
	Took    time.Duration
	Member  string // Yappli's id
	Path    string // of the member's page; empty: there is none
}

// A stage is one of the places that a change passes.
type stage struct {
	Name string // webhook, queue, relay or yappli
	At   time.Time
	Took time.Duration // since the beginning
	Done bool
	Bad  bool
	What string // outcome of the job
}

// stageOf is the stage that a step shows to be passed.
var stageOf = map[Kind]string{Webhook: "webhook", Queued: "queue", Received: "relay", Handled: "yappli", Died: "yappli"}

// arrivals are the outcomes after which the member is as the user is.
var arrivals = []string{"created", "updated", "linked", "restored", "disabled", "already_disabled", "unchanged"}

// follow is how far the last change of a person has come; nil: there was none.
func (s *Server) follow(ctx context.Context, user string) *follow {
	if user == "" {
		return nil
	}
	last := s.options.Dev.Events(Filter{User: user, Kinds: []Kind{Webhook, Queued}, Limit: 1})
	if len(last) == 0 {
		return nil
	}
	way, known := s.options.Dev.Way(last[0].Way)
	if !known || len(way.Steps) == 0 {
		return nil
	}
	f := &follow{Begun: way.Steps[0].At, Way: way.ID, Ended: way.Ended, Next: way.Next}
	for _, name := range []string{"webhook", "queue", "relay", "yappli"} {
		f.Stages = append(f.Stages, stage{Name: name})
	}
	for _, step := range way.Steps {
		i := slices.IndexFunc(f.Stages, func(g stage) bool { return g.Name == stageOf[step.Kind] })
		if i < 0 || f.Stages[i].Done && i < len(f.Stages)-1 {
			continue
		}
		f.Stages[i].At, f.Stages[i].Took = step.At, step.At.Sub(f.Begun)
		f.Stages[i].Done, f.Stages[i].Bad, f.Stages[i].What = true, step.Bad || step.Kind == Died, step.Outcome
		if f.Stages[i].Bad {
			f.Bad = &step
		}
		f.Took = step.At.Sub(f.Begun)
		f.Arrived = slices.Contains(arrivals, step.Outcome)
	}
	if f.Arrived {
		f.Bad = nil
		s.memberOf(ctx, f, user)
	}
	return f
}

// memberPatience is how long a page waits for a link.
const memberPatience = 50 * time.Millisecond

// memberOf finds the member that a change has arrived at.
func (s *Server) memberOf(ctx context.Context, f *follow, user string) {
	ctx, cancel := context.WithTimeout(ctx, memberPatience) // the command goes on: the next look shows it
	defer cancel()
	sides, err := s.compare(ctx, user)
	if err != nil || sides.Member == "" {
		return // the person's page says why
	}
	f.Member = sides.Member
	if editor := s.options.Dev.Editor(providers.Yappli); editor != nil && len(editor.Kinds()) > 0 {
		f.Path = recordPath(providers.Yappli, editor.Kinds()[0].Name, sides.Member)
	}
}

// firstCustomer is the page of a customer to change; empty: there is none.
func (s *Server) firstCustomer() string {
	if s.options.Dev == nil {
		return ""
	}
	editor := s.options.Dev.Editor(providers.SuperSaaS)
	if editor == nil {
		return ""
	}
	rows, _, err := editor.List("users", sandbox.RecordQuery{Length: 1})
	if err != nil || len(rows) == 0 {
		return ""
	}
	return recordPath(providers.SuperSaaS, "users", rows[0].ID)
}
