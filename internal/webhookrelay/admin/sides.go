package admin

import (
	"context"
	"errors"
	"fmt"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// Faulty is the state of a field whose line of the mapping has a fault.
const Faulty mapping.State = "fault"

// A FieldSide is one field that is mapped, with what the mapping makes of it beside what
// Yappli holds. Values are personal data.
type FieldSide struct {
	Field   string        `json:"field"`           // of Yappli
	Source  string        `json:"source"`          // field or expression, as the mapping has it
	Uses    []string      `json:"uses"`            // fields of SuperSaaS
	State   mapping.State `json:"state,omitempty"` // empty: there is no user to make it of
	Makes   *string       `json:"makes"`           // nil: null, or nothing, as State says
	Holds   *string       `json:"holds"`           // nil: Yappli shows none
	Differs bool          `json:"differs"`         // what is made is not what Yappli holds
	Changes bool          `json:"changes"`         // the next job would write it
	Why     string        `json:"why,omitempty"`   // why it would not
}

// A Sides is one person on both sides.
type Sides struct {
	History

	User   map[string]string // of SuperSaaS; empty: the user is gone
	Member map[string]string // of Yappli; empty: no member is known
	Fields []FieldSide       // those that are mapped, by name
}

// SidesOf reads a user and the member, and says of each field that is mapped whether the
// next job would change it. It writes nothing. Where it is not known what the relay would
// do now, Err says why, and neither side was read.
func SidesOf(ctx context.Context, t *tenant.Tenant, user int64) (Sides, error) {
	h, err := HistoryOf(ctx, t, user)
	s := Sides{History: h, User: map[string]string{}, Member: map[string]string{}}
	if err != nil || h.Err != nil {
		return s, err
	}
	p := h.Preview
	if p.Held == nil && p.Member != "" && p.Outcome != outcome.MemberMissing {
		m, err := t.Members.User(ctx, p.Member)
		switch {
		case err == nil:
			p.Held = &m
		case !errors.Is(err, providers.ErrNotFound):
			return s, fmt.Errorf("reading member %s: %w", p.Member, err)
		}
	}
	if !p.Gone {
		s.User = plan.EveryUserField(p.User)
	}
	if p.Held != nil {
		s.Member = EveryMemberField(*p.Held)
	}
	s.Fields = sidesOf(t.Mapping, p.User, p.Held, p.Outcome, t.Settings.Mode)
	return s, nil
}

// EveryMemberField is all that Yappli shows of a member and that is not empty.
func EveryMemberField(m yappli.Member) map[string]string {
	shown := m.Shown()
	for name, value := range map[string]string{"id": m.ID, "created_at": m.CreatedAt, "updated_at": m.UpdatedAt, "point_geted_at": m.PointGetedAt} {
		if value != "" {
			shown[name] = value
		}
	}
	if m.Point != 0 {
		shown["point"] = fmt.Sprint(m.Point)
	}
	return shown
}

// sidesOf puts what a mapping makes of a user beside what a member holds. class is what
// the relay would do; empty: nobody has asked.
func sidesOf(m *mapping.Mapping, u supersaas.User, held *yappli.Member, class outcome.Class, mode tenant.Mode) []FieldSide {
	lines := m.Lines()
	if u.ID != 0 {
		lines = m.Explain(u)
	}
	sides := make([]FieldSide, len(lines))
	for i, made := range lines {
		s := FieldSide{Field: made.Field, Source: made.Source, Uses: append([]string{}, made.Uses...), State: made.State}
		if made.State == mapping.Sent && !made.Value.Null {
			text := made.Value.Plain(made.Field)
			s.Makes = &text
		}
		if held != nil {
			if value, shown := held.Field(made.Field); shown {
				s.Holds = &value
			}
			s.Differs = made.State == mapping.Sent && plan.Differs(*held, made.Field, made.Value)
		} else {
			s.Differs = made.State == mapping.Sent && class == outcome.WouldCreate
		}
		s.Changes, s.Why = changes(s, class, mode)
		sides[i] = s
	}
	return sides
}

// changes says whether the next job would write a field, and if not, why not. There is
// nothing to say of a field that is equal on both sides.
func changes(s FieldSide, class outcome.Class, mode tenant.Mode) (would bool, why string) {
	switch s.State {
	case mapping.Unreadable:
		return false, "its value cannot be read, and what Yappli holds stays"
	case mapping.Absent:
		return false, "SuperSaaS does not send it, and what Yappli holds stays"
	case mapping.Kept:
		return false, "it is empty in SuperSaaS, and empty: keep leaves what Yappli holds"
	case Faulty, mapping.Sent:
	}
	switch {
	case s.Field == "password" && class != outcome.WouldCreate:
		return false, "it is sent with a creation only, and Yappli shows it to nobody"
	case s.Field == plan.SecretAnswer && class != outcome.WouldCreate:
		return false, "Yappli shows it to nobody, so it cannot be compared; it goes with each update"
	case !s.Differs || class == "":
		return false, ""
	case mode != tenant.Write:
		return false, "the relay only observes: it writes once RelayMode is write"
	case class == outcome.WouldCreate || class == outcome.WouldUpdate || class == outcome.WouldLink:
		return true, ""
	}
	return false, class.Sentence()
}
