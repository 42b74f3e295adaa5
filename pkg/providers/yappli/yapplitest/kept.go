package yapplitest

import (
	"cmp"
	"slices"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// kept is what outlives the process: the members that are no longer as they were
// invented, and what the list knows beside them.
type kept struct {
	members *sandbox.Section
	lists   *sandbox.Section
	serial  int64 // of changes, in whose order members with one unique_id are found
	known   keptList
}

type keptMember struct {
	Serial int64             `json:"serial"`
	Gone   bool              `json:"gone,omitempty"`
	Values map[string]string `json:"values,omitempty"`
}

type keptList struct {
	Next    int    `json:"next"`
	Shuffle uint64 `json:"shuffle,omitempty"`
}

const listKey = "members"

func (k *kept) member(t *table, m Member) {
	k.serial++
	k.members.Put(m.ID, keptMember{Serial: k.serial, Values: m.Values})
	k.list(t)
}

func (k *kept) gone(id string) {
	k.serial++
	k.members.Put(id, keptMember{Serial: k.serial, Gone: true})
}

// list keeps what the list knows, if that has changed.
func (k *kept) list(t *table) {
	if now := (keptList{Next: t.next, Shuffle: t.shuffle}); now != k.known {
		k.known = now
		k.lists.Put(listKey, now)
	}
}

// resume takes over what was kept. The members are the invented ones still.
func (s *Records) resume(j *sandbox.Journal) {
	s.kept = kept{members: j.Section("members"), lists: j.Section("lists"), known: keptList{Next: s.table.next}}
	type change struct {
		keptMember
		id string
	}
	var changes []change
	sandbox.Each(s.kept.members, func(id string, m keptMember) { changes = append(changes, change{m, id}) })
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.Serial, b.Serial) })
	for _, c := range changes {
		s.kept.serial = c.Serial
		if c.Gone {
			s.table.remove(c.id, time.Time{}, 0)
			continue
		}
		if c.Values == nil {
			c.Values = map[string]string{}
		}
		s.table.put(Member{ID: c.id, Values: c.Values}, time.Time{}, 0)
	}
	sandbox.Each(s.kept.lists, func(_ string, list keptList) {
		s.kept.known = list
		s.table.next = list.Next
		if list.Shuffle != 0 {
			s.table.reorder(list.Shuffle)
		}
	})
}
