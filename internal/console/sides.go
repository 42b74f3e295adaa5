package console

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// A comparison is what 'hikyaku compare' prints: one person on both sides.
type comparison struct {
	User     string `json:"user_id"`
	Member   string `json:"member"`
	UniqueID string `json:"unique_id"`
	Gone     bool   `json:"gone"`
	Arrived  bool   `json:"arrived"`
	Now      struct {
		Entry string `json:"entry"`
		Says  string `json:"says"`
	} `json:"now"`
	Next    string            `json:"next"`
	Mapping string            `json:"mapping"`
	Mode    string            `json:"mode"`
	Fields  []fieldSide       `json:"fields"`
	Shop    map[string]string `json:"supersaas"`
	App     map[string]string `json:"yappli"`
}

// Name is the person's, as the booking page has it.
func (c comparison) Name() string { return c.Shop["full_name"] }

// Unreadable are the fields that cannot be read.
func (c comparison) Unreadable() []string {
	var names []string
	for _, f := range c.Fields {
		if f.State == "unreadable" {
			names = append(names, f.Field)
		}
	}
	return names
}

// A fieldSide is one field that is mapped.
type fieldSide struct {
	Field   string   `json:"field"`
	Source  string   `json:"source"`
	Uses    []string `json:"uses"`
	State   string   `json:"state"`
	Makes   *string  `json:"makes"`
	Holds   *string  `json:"holds"`
	Differs bool     `json:"differs"`
	Changes bool     `json:"changes"`
	Why     string   `json:"why"`

	Before *string `json:"-"` // what Yappli had before what it has; nil: nothing else was seen
}

// Level is how the field stands: well, warn, bad, or nothing where there is nothing to say.
func (f fieldSide) Level() string {
	switch {
	case f.State == "fault", f.State == "unreadable":
		return "bad"
	case f.Changes, f.Differs:
		return "warn"
	case f.State == "sent" && f.Holds != nil:
		return "well"
	}
	return ""
}

// Note is the key of what is said of the field: what becomes of it, or why nothing does.
func (f fieldSide) Note() string {
	switch {
	case f.State == "fault", f.State == "unreadable", f.State == "absent", f.State == "kept":
		return "sides." + f.State
	case f.Changes:
		return "sides.changes"
	case f.Why != "" && (f.Field == "password" || f.Field == "secret_answer"):
		return "sides.hidden"
	case f.Differs:
		return "sides.differs"
	case f.State == "sent" && f.Holds != nil:
		return "sides.same"
	}
	return ""
}

// A values is what one source field holds.
type value struct{ Name, Text string }

// From are the fields of the booking page that a field is made of, with their values.
func (c comparison) From(f fieldSide) []value {
	all := make([]value, 0, len(f.Uses))
	for _, name := range f.Uses {
		all = append(all, value{name, c.Shop[name]})
	}
	return all
}

// sorted lists a record's fields by name.
func sorted(fields map[string]string) []value {
	all := make([]value, 0, len(fields))
	for name, text := range fields {
		all = append(all, value{name, text})
	}
	slices.SortFunc(all, func(a, b value) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// ShopFields and AppFields are both records, by name.
func (c comparison) ShopFields() []value { return sorted(c.Shop) }

// AppFields is the member's record.
func (c comparison) AppFields() []value { return sorted(c.App) }

// soon is how long what is said of one person is shown again although something has
// happened to her: a page that follows a change has to see its end.
func (s *Server) soon() time.Duration { return min(s.options.Fresh, 500*time.Millisecond) }

// compare reads one person on both sides.
func (s *Server) compare(ctx context.Context, id string) (c comparison, err error) {
	if err := s.reader.readMarked(ctx, s.lastEvent(Filter{User: id, Kinds: ofPeople()}), s.soon(), &c, "compare", "--user", id, "--letters=false"); err != nil {
		return c, err
	}
	s.held.fill(id, c.Fields)
	return c, nil
}

// A heldValues remembers what Yappli had of the people who were looked at, so that their
// pages show what a change has replaced. It is bounded, and forgets with the process.
type heldValues struct {
	mu     sync.Mutex
	people map[string]*heldValue
}

type heldValue struct{ now, before map[string]string }

// mostHeld bounds for how many people values are remembered.
const mostHeld = 200

// knows reports whether it remembers a person.
func (h *heldValues) knows(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.people[id] != nil
}

// remember looks at what Yappli has of a person whom somebody is about to change, so that
// the change shows what it has replaced. Nobody waits for it.
func (s *Server) remember(ctx context.Context, id string) {
	if !personID.MatchString(id) || s.held.knows(id) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readLimit)
	go func() {
		defer cancel()
		_, _ = s.compare(ctx, id) // the person's page says what is wrong
	}()
}

// fill notes what fields hold, and says in each what it held before.
func (h *heldValues) fill(id string, fields []fieldSide) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.people[id]
	if of == nil {
		if h.people == nil || len(h.people) >= mostHeld {
			h.people = map[string]*heldValue{}
		}
		of = &heldValue{now: map[string]string{}, before: map[string]string{}}
		for _, f := range fields {
			of.now[f.Field] = text(f.Holds)
		}
		h.people[id] = of
	}
	for i, f := range fields {
		if was := of.now[f.Field]; was != text(f.Holds) {
			of.now[f.Field], of.before[f.Field] = text(f.Holds), was
		}
		if was, ok := of.before[f.Field]; ok {
			fields[i].Before = &was
		}
	}
}

func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

// A help is what a person can do next for somebody who has not arrived: an action, a page,
// or only a command.
type help struct {
	Action  string
	Values  []string
	Page    string
	Command string
}

// helpFor reads the command that 'hikyaku compare' names, which knows of no dead letters.
func (s *Server) helpFor(c comparison, letters []letter) help {
	words := strings.Fields(strings.TrimPrefix(c.Next, "hikyaku "))
	verb := strings.Join(words[:min(2, len(words))], " ")
	if len(letters) > 0 && (verb == "" || verb == "trigger user-changed") {
		return help{Action: "redrive", Values: []string{"user", c.User}}
	}
	h := help{Command: c.Next}
	switch {
	case verb == "trigger user-changed":
		h.Action, h.Values = "trigger", []string{"event", "user-changed", "user", c.User}
	case strings.HasPrefix(verb, "reconcile"):
		h.Action = "reconcile"
	case verb == "resume relay":
		h.Action = "resume-relay"
	case verb == "relay release":
		h.Action = "release"
	case verb == "links approve" || verb == "links show":
		h.Action, h.Values = "approve", []string{"pair", c.User}
	case verb == "users get" && s.options.Dev != nil:
		h.Page = "/sandboxes/supersaas/users/" + c.User
	default:
		if h.Page = s.pageOf(c.Next); h.Page == "/relay/people/"+c.User {
			h.Page = "" // it is where the person is already
		}
	}
	return h
}
