package webhookrelay_test

import (
	"fmt"
	"maps"
	"slices"

	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A model is what Yappli must hold in the end, kept by hand beside what happens
// in the shop. It knows nothing of rows, hashes, queues or lists.
type model struct {
	people  []*modelPerson
	foreign map[string]string // id of a member that is not ours: its JSON
	before  map[string]before // unique_id: a member that the relay did not make

	mode     string          // of linking: approve, match or always
	approved map[string]bool // of person and unique_id: on records that were as they were shown
	rejected map[string]bool
}

// before is such a member as it was, and what must stay of it.
type before struct {
	json string
	off  bool   // the shop had disabled it
	card string // which the shop had written into column04
	kept string // what the shop had written into a field that is not mapped
}

type modelPerson struct {
	unique            string   // now; "": has none
	ever              []string // all it had
	live, quiet       bool     // quiet: changed without a hook since the last one
	name, phone, mail string
	card              string // of the shop's, which a customer cannot edit; "": none
	note              string // "": null
}

// bears gives a person another identity.
func (p *modelPerson) bears(unique string) {
	if p.unique = unique; unique != "" && !slices.Contains(p.ever, unique) {
		p.ever = append(p.ever, unique)
	}
}

// differs says what is wrong with the person's member; "" if nothing.
func (p *modelPerson) differs(m yapplitest.Member, was before) string {
	want := map[string]string{"column30": was.kept, "enabled": "1"}
	if p.live {
		want["column01"], want["column02"], want["column03"] = p.name, "+8190"+p.phone[4:8]+p.phone[9:], p.note
		want["login_id"], want["column04"] = p.mail, p.card
	}
	if !p.live || was.off {
		want["enabled"] = "0"
	}
	if was.kept != "" {
		want["rank"] = "3"
	}
	for _, field := range slices.Sorted(maps.Keys(want)) {
		if m.Values[field] != want[field] {
			return fmt.Sprintf("%s is %q, want %q", field, m.Values[field], want[field])
		}
	}
	return ""
}

// A stage is how much of what happened the relay can know.
type stage int

const (
	drained    stage = iota // the changes of which a hook told
	reconciled              // all
	settled                 // and who gave way to whom, of those who shared an identity
)

// check compares all of Yappli's members with the model.
//
// A member keeps the identity that it was made or found with, and its person,
// whatever identity that one has later. Of several who have or had one identity,
// one has the member: which one, the shop cannot tell.
func (m *model) check(members []yapplitest.Member, at stage) error {
	byUnique, err := m.ours(members)
	if err != nil {
		return err
	}
	has, free := map[*modelPerson]bool{}, map[string]bool{}
	for unique, member := range byUnique {
		if string(member.JSON()) == m.before[unique].json {
			free[unique] = !m.goneHad(unique)
			continue
		}
		p, err := m.person(unique, member, at)
		if err != nil {
			return fmt.Errorf("%s: %w", unique, err)
		}
		if p != nil && has[p] {
			return fmt.Errorf("%s exists more than once", p.mail)
		}
		has[p] = true
	}
	for _, p := range m.people {
		_, taken := byUnique[p.unique]
		if p.live && !has[p] && (!taken || free[p.unique]) && !m.mayLack(p, at) {
			return fmt.Errorf("%s: no member, want one", p.unique)
		}
	}
	return nil
}

// ours returns the members that are not foreign, and checks those that are.
func (m *model) ours(members []yapplitest.Member) (map[string]yapplitest.Member, error) {
	byUnique := map[string]yapplitest.Member{}
	others := 0
	for _, member := range members {
		want, foreign := m.foreign[member.ID]
		unique := member.Values["unique_id"]
		_, twice := byUnique[unique]
		switch {
		case !foreign && twice:
			return nil, fmt.Errorf("%s exists more than once", unique)
		case !foreign:
			byUnique[unique] = member
		case string(member.JSON()) != want:
			return nil, fmt.Errorf("foreign member %s changed", member.ID)
		default:
			others++
		}
	}
	if others != len(m.foreign) {
		return nil, fmt.Errorf("%d of %d foreign members are left", others, len(m.foreign))
	}
	return byUnique, nil
}

// person returns whose member it is, by the address that whoever is written has;
// nil for one who was never written and is of somebody gone, or of whom nobody
// told.
func (m *model) person(unique string, member yapplitest.Member, at stage) (*modelPerson, error) {
	differences := []string{}
	for _, p := range m.people {
		if !slices.Contains(p.ever, unique) {
			continue
		}
		if !m.mayWrite(p, unique) {
			if member.Values["login_id"] == p.mail {
				return nil, fmt.Errorf("%s took the member over", p.mail)
			}
			continue
		}
		d, his := p.differs(member, m.before[unique]), member.Values["login_id"] == p.mail
		switch {
		case his && (d == "" || p.quiet && at == drained):
			return p, nil
		case his:
			return nil, fmt.Errorf("%s: %s", p.mail, d)
		case member.Values["login_id"] == "" && (d == "" && !p.live || p.quiet && at == drained):
			return nil, nil
		}
		differences = append(differences, d)
	}
	return nil, fmt.Errorf("member %s of nobody: %q", member.ID, differences)
}

// mayWrite reports whether a member who bears an identity is ever a person's:
// one that was there before takes a person's approval, or the card that the shop
// wrote on both.
func (m *model) mayWrite(p *modelPerson, unique string) bool {
	was, existed := m.before[unique]
	return !existed || m.mode == "always" || m.approved[p.mail+" "+unique] ||
		m.mode == "match" && p.card != "" && p.card == was.card
}

// mustHave reports whether a person must have been linked to a member who was
// there before, in the end.
func (m *model) mustHave(p *modelPerson) bool {
	was, existed := m.before[p.unique]
	return !existed || m.mode == "always" || p.card != "" && p.card == was.card && !m.rejected[p.mail+" "+p.unique]
}

// goneHad reports whether somebody who is gone had the identity: the member may
// be theirs, and have been disabled before.
func (m *model) goneHad(unique string) bool {
	return slices.ContainsFunc(m.people, func(p *modelPerson) bool { return !p.live && slices.Contains(p.ever, unique) })
}

// mayLack reports whether a live person may be without a member, though nobody
// else has one of that identity: until a reconcile it was told of, and another
// who has let go of the identity has given way.
func (m *model) mayLack(p *modelPerson, at stage) bool {
	if p.unique == "" || !m.mustHave(p) || at < settled && m.before[p.unique].json != "" && m.mode != "always" {
		return true
	}
	_, existed := m.before[p.unique]
	return slices.ContainsFunc(m.people, func(other *modelPerson) bool {
		switch {
		case !slices.Contains(other.ever, p.unique):
			return false
		case existed && m.mode != "always" && other != p:
			return true // who may hold the claim
		case at == drained && other.quiet:
			return true
		}
		return at < settled && (!other.live || other.unique != p.unique)
	})
}
