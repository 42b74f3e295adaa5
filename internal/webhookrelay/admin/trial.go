package admin

import (
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// A Subject is a user on whom a mapping is tried.
type Subject struct {
	User supersaas.User
	Held *yappli.Member // what Yappli has of the user; nil: nobody has asked, or it has none

	Outcome outcome.Class // what the relay would do by the mapping; empty: nobody has asked
}

// A Tried is what a mapping makes of a Subject. Values are personal data.
type Tried struct {
	User    int64         `json:"user_id,string"`
	Outcome outcome.Class `json:"outcome,omitempty"`
	Says    string        `json:"says,omitempty"`
	Fields  []FieldSide   `json:"fields"`
}

// A Trial is what comes of a mapping that is not published. Where it has faults, Tried
// shows what its other lines make, and each line with a fault as a field that has one.
type Trial struct {
	Digest  string          `json:"digest"`
	Faults  []mapping.Fault `json:"faults"`
	Targets []string        `json:"targets"` // of the lines without a fault
	Uses    []string        `json:"uses"`
	Users   []Tried         `json:"users"`
	Count   *MappingChange  `json:"count,omitempty"` // by Snapshot.Count; nil: nobody has asked
}

// Try compiles a mapping, and shows what it makes of some users. It asks nobody, and takes
// a millisecond or two. The mapping that is returned has the lines without a fault.
func Try(identity string, source []byte, subjects []Subject) (Trial, *mapping.Mapping) {
	m, faults := mapping.Draft(identity, source)
	t := Trial{Digest: m.Digest(), Faults: append([]mapping.Fault{}, faults...), Targets: m.Targets(), Uses: append([]string{}, m.Uses()...), Users: []Tried{}}
	for _, s := range subjects {
		tried := Tried{User: s.User.ID, Outcome: s.Outcome, Fields: sidesOf(m, s.User, s.Held, s.Outcome, tenant.Write)}
		if s.Outcome != "" {
			tried.Says = s.Outcome.Sentence()
		}
		for _, f := range faults {
			if f.Key != "" {
				tried.Fields = append(tried.Fields, FieldSide{Field: f.Key, Uses: []string{}, State: Faulty, Why: f.Text})
			}
		}
		t.Users = append(t.Users, tried)
	}
	return t, m
}
