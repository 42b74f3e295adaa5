package awslocal

import (
	"cmp"
	"container/heap"
	"time"
)

// A backlog holds a queue's messages in the order in which they came. Whatever is asked
// of it costs about the same however many there are: they are also in groups, and those
// whose time has not come are in the order of their times.
type backlog struct {
	all      chain
	byID     map[string]*message
	groups   map[string]*group
	ready    readyGroups
	hidden   hiddenMessages // in flight and delayed
	inFlight int
}

// A group is the messages of one message group.
type group struct {
	name     string
	chain    chain
	inFlight int
	next     *message // the first that can be received, if the group is ready
	at       int      // in the heap of the ready groups; -1: it is not ready
}

func newBacklog() *backlog {
	return &backlog{all: chain{link: ofQueue}, byID: map[string]*message{}, groups: map[string]*group{}}
}

// A chain is a list of messages, linked by the messages themselves.
type chain struct {
	first, last *message
	link        func(*message) *link
}

type link struct{ before, after *message }

func ofQueue(m *message) *link { return &m.inQueue }
func ofGroup(m *message) *link { return &m.inGroup }

func (c *chain) append(m *message) {
	*c.link(m) = link{before: c.last}
	if c.last == nil {
		c.first = m
	} else {
		c.link(c.last).after = m
	}
	c.last = m
}

func (c *chain) remove(m *message) {
	own := c.link(m)
	if own.before == nil {
		c.first = own.after
	} else {
		c.link(own.before).after = own.after
	}
	if own.after == nil {
		c.last = own.before
	} else {
		c.link(own.after).before = own.before
	}
	*own = link{}
}

// readyGroups is a heap of the groups of which a message can be received: none of theirs
// is in flight, and the first is not delayed. The one whose message came first is first.
type readyGroups []*group

// Len, Less, Swap, Push and Pop are for container/heap.
func (r readyGroups) Len() int           { return len(r) }
func (r readyGroups) Less(i, j int) bool { return r[i].next.sequence < r[j].next.sequence }
func (r readyGroups) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].at, r[j].at = i, j
}
func (r *readyGroups) Push(x any) {
	g := x.(*group) //nolint:forcetypeassert // place pushes no other
	g.at = len(*r)
	*r = append(*r, g)
}
func (r *readyGroups) Pop() any {
	old := *r
	g := old[len(old)-1]
	old[len(old)-1] = nil
	*r = old[:len(old)-1]
	g.at = -1
	return g
}

// hiddenMessages is a heap of the messages that cannot be received yet. The one whose
// time comes first is first.
type hiddenMessages []*message

// Len, Less, Swap, Push and Pop are for container/heap.
func (h hiddenMessages) Len() int { return len(h) }
func (h hiddenMessages) Less(i, j int) bool {
	return cmp.Or(h[i].visible.Compare(h[j].visible), cmp.Compare(h[i].sequence, h[j].sequence)) < 0
}
func (h hiddenMessages) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].hiddenAt, h[j].hiddenAt = i, j
}
func (h *hiddenMessages) Push(x any) {
	m := x.(*message) //nolint:forcetypeassert // hide pushes no other
	m.hiddenAt = len(*h)
	*h = append(*h, m)
}
func (h *hiddenMessages) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	m.hiddenAt = -1
	return m
}

// add takes in a message that came after all the others.
func (b *backlog) add(m *message, now time.Time) {
	g := b.groups[m.group]
	if g == nil {
		g = &group{name: m.group, chain: chain{link: ofGroup}, at: -1}
		b.groups[m.group] = g
	}
	b.byID[m.id] = m
	b.all.append(m)
	g.chain.append(m)
	m.hiddenAt = -1
	inFlight := m.inFlight
	m.inFlight = false
	b.hide(m, m.visible, inFlight, now)
}

// remove takes a message out.
func (b *backlog) remove(m *message) {
	b.show(m)
	g := b.groups[m.group]
	b.all.remove(m)
	g.chain.remove(m)
	delete(b.byID, m.id)
	b.place(g)
}

// hide says when a message can be received, and whether it is in flight until then. A
// time that has come shows it.
func (b *backlog) hide(m *message, until time.Time, inFlight bool, now time.Time) {
	b.show(m)
	g := b.groups[m.group]
	m.visible = until
	if until.After(now) {
		heap.Push(&b.hidden, m)
		if m.inFlight = inFlight; inFlight {
			b.inFlight++
			g.inFlight++
		}
	}
	b.place(g)
}

// show ends what hides a message; the caller places its group again.
func (b *backlog) show(m *message) {
	if m.hiddenAt >= 0 {
		heap.Remove(&b.hidden, m.hiddenAt)
	}
	if m.inFlight {
		b.inFlight--
		b.groups[m.group].inFlight--
		m.inFlight = false
	}
}

// reveal shows the messages whose time has come.
func (b *backlog) reveal(now time.Time) {
	for len(b.hidden) > 0 && !b.hidden[0].visible.After(now) {
		m := b.hidden[0]
		b.show(m)
		b.place(b.groups[m.group])
	}
}

// place puts a group among those that are ready, or takes it out.
func (b *backlog) place(g *group) {
	g.next = g.chain.first
	isReady := g.next != nil && g.inFlight == 0 && g.next.hiddenAt < 0
	switch {
	case isReady && g.at < 0:
		heap.Push(&b.ready, g)
	case isReady:
		heap.Fix(&b.ready, g.at)
	case g.at >= 0:
		b.ready.remove(g)
	}
	if g.chain.first == nil {
		delete(b.groups, g.name)
	}
}

// remove takes a group out without comparing it: its message may be gone.
func (r *readyGroups) remove(g *group) {
	last := len(*r) - 1
	at := g.at
	if at != last {
		r.Swap(at, last)
	}
	r.Pop()
	if at != last {
		heap.Fix(r, at)
	}
}

// pick finds up to n messages that can be received, in their order, and those before
// them that are spent. It changes none of them.
func (b *backlog) pick(n int, isSpent func(*message) bool) (picked, spent []*message) {
	var groups []*group
	for len(picked) < n && len(b.ready) > 0 {
		g := b.ready[0]
		m := g.next
		if isSpent(m) {
			spent = append(spent, m)
		} else {
			picked = append(picked, m)
		}
		groups = append(groups, g)
		if after := m.inGroup.after; after != nil && after.hiddenAt < 0 {
			g.next = after
			heap.Fix(&b.ready, 0)
		} else {
			b.ready.remove(g)
		}
	}
	for _, g := range groups {
		b.place(g)
	}
	return picked, spent
}

// A Depth is how many messages a queue has: to be received, in flight, and delayed.
type Depth struct{ Visible, InFlight, Delayed int }

func (b *backlog) depth() Depth {
	return Depth{Visible: len(b.byID) - len(b.hidden), InFlight: b.inFlight, Delayed: len(b.hidden) - b.inFlight}
}

// visible returns the messages that are neither in flight nor delayed, in their order.
func (b *backlog) visible() []*message {
	found := make([]*message, 0, b.depth().Visible)
	for m := b.all.first; m != nil; m = m.inQueue.after {
		if m.hiddenAt < 0 {
			found = append(found, m)
		}
	}
	return found
}
