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
	before  map[string]before // unique_id: a member from before hikyaku came
}

// before is what must stay of such a member.
type before struct {
	off  bool   // the shop had disabled it
	kept string // what the shop had written into a field that is not mapped
}

type modelPerson struct {
	unique            string // "": must have no member
	live, quiet       bool   // quiet: changed without a hook since the last one
	name, phone, mail string
	note              string // "": null
}

// differs says what is wrong with the person's member; "" if nothing.
func (p *modelPerson) differs(m yapplitest.Member, was before) string {
	want := map[string]string{"column30": was.kept, "enabled": "1"}
	if p.live {
		want["column01"], want["column02"], want["column03"] = p.name, "+8190"+p.phone[4:8]+p.phone[9:], p.note
		want["login_id"] = p.mail
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

// check compares all of Yappli's members with the model. Before the reconcile
// that follows them, changes that no hook told of are not looked for.
//
// Of several users with one identity, one has the member: which one, the shop
// cannot tell. If it is one who is gone, there may be none.
func (m *model) check(members []yapplitest.Member, reconciled bool) error {
	byUnique := map[string][]yapplitest.Member{}
	others := 0
	for _, member := range members {
		want, foreign := m.foreign[member.ID]
		switch {
		case !foreign:
			byUnique[member.Values["unique_id"]] = append(byUnique[member.Values["unique_id"]], member)
		case string(member.JSON()) != want:
			return fmt.Errorf("foreign member %s changed", member.ID)
		default:
			others++
		}
	}
	if others != len(m.foreign) {
		return fmt.Errorf("%d of %d foreign members are left", others, len(m.foreign))
	}
	groups := map[string][]*modelPerson{}
	for _, p := range m.people {
		groups[p.unique] = append(groups[p.unique], p)
	}
	for unique, found := range byUnique {
		if unique == "" || groups[unique] == nil {
			return fmt.Errorf("member %s of nobody: unique_id %q", found[0].ID, unique)
		}
		if len(found) > 1 {
			return fmt.Errorf("%s exists %d times", unique, len(found))
		}
	}
	for unique, people := range groups {
		if unique == "" || !reconciled && slices.ContainsFunc(people, func(p *modelPerson) bool { return p.quiet }) {
			continue
		}
		if err := oneOf(people, byUnique[unique], m.before[unique]); err != nil {
			return fmt.Errorf("%s: %w", unique, err)
		}
	}
	return nil
}

func oneOf(people []*modelPerson, found []yapplitest.Member, was before) error {
	if len(found) == 0 {
		if slices.ContainsFunc(people, func(p *modelPerson) bool { return !p.live }) {
			return nil
		}
		return fmt.Errorf("no member, want one")
	}
	differences := []string{}
	for _, p := range people {
		d := p.differs(found[0], was)
		if d == "" {
			return nil
		}
		differences = append(differences, d)
	}
	return fmt.Errorf("%q", differences)
}
