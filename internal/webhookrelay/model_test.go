package webhookrelay_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A model is what Yappli must hold in the end, kept by hand beside what happens
// in the shop. It knows nothing of rows, hashes, queues or lists.
type model struct {
	people  []*modelPerson
	foreign map[string]string // id of a member that is not ours: its JSON
	before  map[string]before // unique_id: a member that the relay did not make

	prefix   string          // of each unique_id
	mode     string          // of linking: approve, match or always
	approved map[string]bool // of person and member, see pairOf: on records that were as they were shown
	rejected map[string]bool // of person and member, perhaps: the store may have failed
	refused  map[string]bool // of the same and the identity that the person had: rejected for certain
	again    string          // of person and member, refused and shown once more; "": none
}

func newModel(prefix string, mode tenant.LinkMode) model {
	return model{
		foreign: map[string]string{}, before: map[string]before{}, prefix: prefix, mode: string(mode),
		approved: map[string]bool{}, rejected: map[string]bool{}, refused: map[string]bool{},
	}
}

// pairOf names what an operator decides on: a person and the unique_id of a
// member.
func pairOf(p *modelPerson, member string) string { return p.mail + " " + member }

// before is such a member as it was, and what must stay of it.
type before struct {
	json string
	off  bool   // the shop had disabled it
	card string // which the shop had written into column04
	kept string // what the shop had written into a field that is not mapped
	late bool   // the relay may have made somebody a member of this identity before it could know
}

type modelPerson struct {
	typed             string   // into the field of the identity
	unique            string   // now, as it is written; "": has none
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

// plain is the one form of what a person would call the same, by rules of its
// own for the aliases that spell draws.
func plain(value string) string {
	value = strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～':
			return r - '！' + '!'
		case r == '\u3000':
			return ' '
		}
		return r
	}, value))
	if strings.Count(value, "@") == 1 {
		value = strings.ToLower(value)
	}
	return value
}

// spell writes a value in one of the ways that a person would call the same.
func spell(random *rand.Rand, value string) string {
	value = plain(value)
	isMail := strings.Contains(value, "@")
	switch random.IntN(6) {
	case 0: // full width
		return strings.Map(func(r rune) rune { return r - '!' + '！' }, value)
	case 1:
		return value + "\u3000"
	case 2:
		return " " + value + " "
	case 3:
		if isMail {
			return strings.ToUpper(value)
		}
	case 4:
		if isMail {
			return strings.ToUpper(value[:1]) + value[1:]
		}
	}
	return value
}

// same reports whether a person would call two identities the same.
func (m *model) same(a, b string) bool {
	return a != "" && b != "" && plain(strings.TrimPrefix(a, m.prefix)) == plain(strings.TrimPrefix(b, m.prefix))
}

// had reports whether a person has or had an identity, under any alias.
func (m *model) had(p *modelPerson, unique string) bool {
	return slices.ContainsFunc(p.ever, func(other string) bool { return m.same(other, unique) })
}

// anybodyHad reports whether somebody has or had an identity.
func (m *model) anybodyHad(unique string) bool {
	return slices.ContainsFunc(m.people, func(p *modelPerson) bool { return m.had(p, unique) })
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
// under any alias, one has the member: which one, the shop cannot tell. The
// others have none, but for those of whom an operator said that it is not theirs.
func (m *model) check(members []yapplitest.Member, at stage) error {
	byUnique, err := m.ours(members)
	if err != nil {
		return err
	}
	if m.again != "" {
		return fmt.Errorf("%s: rejected, and proposed again", m.again)
	}
	has, free, made := map[*modelPerson]bool{}, map[string]bool{}, map[string]*modelPerson{}
	for unique, member := range byUnique {
		was, existed := m.before[unique]
		if existed && string(member.JSON()) == was.json {
			free[unique] = !m.goneHas(unique)
			continue
		}
		p, err := m.person(unique, member, at)
		if err != nil {
			return fmt.Errorf("%q: %w", unique, err)
		}
		if p != nil && has[p] {
			return fmt.Errorf("%s exists more than once", p.mail)
		}
		if has[p] = true; !existed {
			made[unique] = p
		}
	}
	if err := m.second(made); err != nil {
		return err
	}
	for _, p := range m.people {
		if p.live && !has[p] && !m.mayLack(p, byUnique, free, at) && !m.waitsForAnother(p, byUnique, has) {
			return fmt.Errorf("%q: no member, want one", p.unique)
		}
	}
	return nil
}

// second finds a member that the relay made though there was one that a person
// would call the same. Only who rejected such a one may have another.
func (m *model) second(made map[string]*modelPerson) error {
	for unique, p := range made {
		if p != nil && m.hasRejected(p, unique) {
			continue
		}
		for other, q := range made {
			if other != unique && m.same(other, unique) && (q == nil || !m.hasRejected(q, unique)) {
				return fmt.Errorf("%q was made beside %q", unique, other)
			}
		}
		for other, was := range m.before {
			if m.same(other, unique) && !was.late {
				return fmt.Errorf("%q was made beside the shop's %q", unique, other)
			}
		}
	}
	return nil
}

// hasRejected reports whether an operator may have said that some member of an
// identity is not the person's.
func (m *model) hasRejected(p *modelPerson, unique string) bool {
	for pair := range m.rejected {
		if member, is := strings.CutPrefix(pair, pairOf(p, "")); is && m.same(member, unique) {
			return true
		}
	}
	return false
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
	for unique := range m.before {
		if _, left := byUnique[unique]; !left {
			return nil, fmt.Errorf("the shop's member %q bears another unique_id", unique)
		}
	}
	return byUnique, nil
}

// person returns whose member it is, by the address of the person that was written;
// nil for one who was never written and is of somebody gone, or of whom nobody
// told.
func (m *model) person(unique string, member yapplitest.Member, at stage) (*modelPerson, error) {
	differences := []string{}
	for _, p := range m.people {
		if !m.had(p, unique) {
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

// mayWrite reports whether a member is ever a person's. One that the relay made is,
// if the person had the very unique_id; so is one that was there before where that is
// enough for a link. Else it takes the card that the shop wrote on both, or an operator.
func (m *model) mayWrite(p *modelPerson, unique string) bool {
	was, existed := m.before[unique]
	exact := slices.Contains(p.ever, unique)
	switch {
	case !existed, m.mode == "always" && exact:
		return exact
	case m.mode == "match" && p.card != "" && p.card == was.card:
		return true
	}
	return m.approved[pairOf(p, unique)]
}

// mustHave reports whether a person who has an identity must have been linked, in
// the end, to a member who was there before.
func (m *model) mustHave(p *modelPerson, unique string) bool {
	return m.mode == "always" && unique == p.unique ||
		p.card != "" && p.card == m.before[unique].card && !m.rejected[pairOf(p, unique)]
}

// goneHas reports whether a member may be theirs who are gone, and have been
// disabled before.
func (m *model) goneHas(unique string) bool {
	return slices.ContainsFunc(m.people, func(p *modelPerson) bool { return !p.live && m.had(p, unique) && m.mayWrite(p, unique) })
}

// mayLack reports whether a live person may be without a member. Where there is none
// that a person would call the same, only until it can be made; see waits.
func (m *model) mayLack(p *modelPerson, byUnique map[string]yapplitest.Member, free map[string]bool, at stage) bool {
	if p.unique == "" {
		return true
	}
	members, refused := m.candidates(p, byUnique)
	switch {
	case len(members) == 0:
		return refused && at < settled || m.waits(p, at) // a refused user gets one after the next list
	case len(members) > 1:
		return true // an operator decides on one after the other
	case !free[members[0]] || !m.mustHave(p, members[0]):
		return true // it is another's, or an operator decides
	case m.mode == "always" && members[0] == p.unique:
		return m.waits(p, at)
	}
	return at < settled || slices.ContainsFunc(m.people, func(other *modelPerson) bool {
		return other != p && m.had(other, p.unique) // and may hold the claim
	})
}

// waitsForAnother reports whether somebody who bears the very identity may hold the
// claim on it while an operator has still to decide whether an existing member is theirs.
func (m *model) waitsForAnother(p *modelPerson, byUnique map[string]yapplitest.Member, has map[*modelPerson]bool) bool {
	return slices.ContainsFunc(m.people, func(other *modelPerson) bool {
		undecided, _ := m.candidates(other, byUnique)
		return other != p && other.live && !has[other] && other.unique == p.unique && len(undecided) > 0
	})
}

// candidates are the members that may be a person's: the one with the very
// unique_id, else those with another alias of it, but for those that an operator
// has refused.
func (m *model) candidates(p *modelPerson, byUnique map[string]yapplitest.Member) (members []string, refused bool) {
	if _, exact := byUnique[p.unique]; exact {
		return []string{p.unique}, false
	}
	for unique := range byUnique {
		switch {
		case !m.same(unique, p.unique):
		case m.refused[pairOf(p, unique)+" "+p.unique]:
			refused = true
		default:
			members = append(members, unique)
		}
	}
	return members, refused
}

// waits reports whether somebody else may hold the claim on an identity of which
// there is no member: until all was told, and its former owner has given way.
func (m *model) waits(p *modelPerson, at stage) bool {
	return slices.ContainsFunc(m.people, func(other *modelPerson) bool {
		return m.had(other, p.unique) &&
			(at == drained && other.quiet || at < settled && (!other.live || !m.same(other.unique, p.unique)))
	})
}
