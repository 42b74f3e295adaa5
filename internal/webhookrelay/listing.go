package webhookrelay

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

const (
	tailLength = 8  // ids remembered of a page's end
	overlap    = 4  // of them that the next page begins with
	stepsBack  = 4  // tries to find them further back
	stepLength = 40 // positions of one such step
	smallest   = 30 // page size: of two million positions, none then lacks a page that reaches 6 behind it
)

// A listing is how far one side has been listed. It survives in the lease's
// journal. Lists are paged by position, so a record that appears or vanishes
// before the position shifts the rest: every page therefore begins inside the
// one before it and must contain its end.
type listing struct {
	Began time.Time `json:"began"`
	Rows  int       `json:"rows"`            // positions passed
	Tail  []string  `json:"tail,omitempty"`  // the last ids seen
	Drift int       `json:"drift,omitempty"` // boundaries that could not be matched
	Ended bool      `json:"ended,omitempty"`
}

// A pager fetches the page that contains a position, and says where it starts
// and how many records it could hold.
type pager[T any] struct {
	fetch func(ctx context.Context, position int) (page []T, start, size int, err error)
	id    func(T) string
}

// next returns the records after those already seen, until l.Ended. A boundary
// that does not match is looked for further back; where it stays lost, that is
// drift, and reading goes on from the position.
func (p pager[T]) next(ctx context.Context, l *listing) ([]T, error) {
	var lost []T // the page at the position itself
	lostEnd := 0
	for step := 0; step <= stepsBack; {
		page, start, size, err := p.fetch(ctx, max(0, l.Rows-overlap-step*stepLength))
		if err != nil {
			return nil, err
		}
		if l.Rows == 0 {
			l.Ended = len(page) == 0
			return p.pass(l, page, len(page)), nil
		}
		at := p.find(page, l.Tail)
		switch {
		case at < 0:
			if step == 0 {
				lost, lostEnd = page, start+len(page)
			}
			step++
		case at < len(page)-1:
			return p.pass(l, page[at+1:], start+len(page)), nil
		case len(page) < size:
			l.Ended = true
			return nil, nil
		default: // the page ends where the last one did: look behind it
			if start+len(page) == l.Rows {
				return nil, fmt.Errorf("listing %d rows: %w: the pages do not go on", l.Rows, providers.ErrInvalid)
			}
			l.Rows, step = start+len(page), 0
		}
	}
	l.Drift++
	l.Ended = len(lost) == 0
	return p.pass(l, lost, lostEnd), nil
}

// pass moves the listing behind fresh, the last of which is before end.
func (p pager[T]) pass(l *listing, fresh []T, end int) []T {
	for _, item := range fresh[max(0, len(fresh)-tailLength):] {
		l.Tail = append(l.Tail, p.id(item))
	}
	l.Tail = slices.Clone(l.Tail[max(0, len(l.Tail)-tailLength):])
	l.Rows = max(l.Rows, end)
	return fresh
}

// find returns where the last of the known ids stands; -1 if none does, or if
// what stands before it is not what stood before it. Some of the last may have
// vanished meanwhile.
func (p pager[T]) find(page []T, tail []string) int {
	for i := len(page) - 1; i >= 0; i-- {
		k := slices.Index(tail, p.id(page[i]))
		if k < 0 {
			continue
		}
		for j := 1; j <= min(i, k); j++ {
			if p.id(page[i-j]) != tail[k-j] {
				return -1
			}
		}
		return i
	}
	return -1
}

func (s *Stack) userPages() pager[supersaas.User] {
	return pager[supersaas.User]{
		id: func(u supersaas.User) string { return strconv.FormatInt(u.ID, 10) },
		fetch: func(ctx context.Context, position int) ([]supersaas.User, int, int, error) {
			body, err := s.users.UsersPage(ctx, supersaas.UsersQuery{Limit: supersaas.MaxLimit, Offset: position, Form: s.Mapping.UsesForm()})
			s.Governors.SuperSaaS.Note(err)
			if err != nil {
				return nil, 0, 0, err
			}
			var page []supersaas.User
			if err := json.Unmarshal(body, &page); err != nil {
				return nil, 0, 0, fmt.Errorf("listing users: %w: not the documented JSON", providers.ErrInvalid)
			}
			return page, position, supersaas.MaxLimit, nil
		},
	}
}

func (s *Stack) memberPages() pager[yappli.Member] {
	return pager[yappli.Member]{
		id: func(m yappli.Member) string { return m.ID },
		fetch: func(ctx context.Context, position int) ([]yappli.Member, int, int, error) {
			size := max(s.quirks.PageSize, smallest)
			q, start := yappli.UsersQuery{Limit: size, Offset: position}, position
			if s.quirks.Paging == yappli.ByPage {
				q, start = pageAround(position, size)
			}
			body, err := s.members.UsersPage(ctx, q)
			s.Governors.Yappli.Note(err)
			if err != nil {
				return nil, 0, 0, err
			}
			page, err := yappli.DecodeUsers(body)
			return page, start, q.Limit, err
		},
	}
}

// pageAround chooses, for a server that pages by number, the page size between
// half of size and size whose page that contains the position reaches farthest
// behind it.
func pageAround(position, size int) (yappli.UsersQuery, int) {
	best, reach := size, 0
	for s := size; s > size/2; s-- {
		if r := s - position%s; r > reach {
			best, reach = s, r
		}
	}
	page := position / best
	return yappli.UsersQuery{Limit: best, Page: page + 1}, page * best
}
