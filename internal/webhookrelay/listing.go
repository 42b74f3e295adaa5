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
	overlap    = 4  // of them that the next page begins with, where pages are large enough
	stepsBack  = 4  // tries to find them further back
	stepLength = 40 // positions of one such step
	mostIdle   = 5  // looks in a row that may show nobody new and no end
)

// A listing is how far one side has been listed. It survives in the lease's
// journal. Lists are paged by position, so a record that appears or vanishes
// before the position shifts the rest: every page therefore begins inside the
// one before it and must contain its end.
type listing struct {
	Began time.Time `json:"began"`
	Rows  int       `json:"rows"`            // positions passed
	Size  int       `json:"size,omitempty"`  // rows of a first page: servers lower a size silently
	Tail  []string  `json:"tail,omitempty"`  // the last ids seen
	Drift int       `json:"drift,omitempty"` // boundaries that could not be matched
	Ended bool      `json:"ended,omitempty"`

	Idle   int    `json:"idle,omitempty"`  // looks in a row that showed nobody new
	Behind [2]int `json:"behind,omitzero"` // where to look whether somebody follows, and for how many
}

// A pager fetches pages. By number, start is a multiple of limit.
type pager[T any] struct {
	size   int    // rows to ask for first
	byPage bool   // the server takes numbers of pages, not positions
	advice string // what to mend if the pages cannot be what they claim
	fetch  func(ctx context.Context, start, limit int) ([]T, error)
	id     func(T) string
}

// errPages: a run that meets it ends, since what it has listed may be wrong.
var errPages = fmt.Errorf("%w: the pages do not go on", providers.ErrInvalid)

// next returns the records after those already seen, until l.Ended; perhaps
// none. A boundary that does not match is looked for further back; where it
// stays lost, that is drift, and reading goes on from the position.
func (p pager[T]) next(ctx context.Context, l *listing) ([]T, error) {
	if l.Behind[0] > 0 {
		return nil, p.lookBehind(ctx, l)
	}
	if l.Idle == 1 { // the first page may have been small because the list was
		page, err := p.fetch(ctx, 0, p.size)
		if err != nil {
			return nil, err
		}
		l.Size = max(l.Size, len(page))
	}
	size := p.size
	if l.Size > 0 {
		size = min(size, l.Size)
	}
	var lost []T // the page at the position itself
	lostEnd := 0
	for step := range stepsBack + 1 {
		start, limit := p.around(max(min(1, l.Rows), l.Rows-step*min(stepLength, size)), size)
		page, err := p.fetch(ctx, start, limit)
		end := start + len(page)
		if err != nil {
			return nil, err
		}
		if l.Rows == 0 {
			l.Ended, l.Size = len(page) == 0, len(page)
			return p.pass(l, page, end), nil
		}
		if l.Idle == mostIdle || p.byPage && len(page) > limit {
			return nil, fmt.Errorf("listing %d rows: %w: %s", l.Rows, errPages, p.advice)
		}
		switch at := p.find(page, l.Tail); {
		case at < 0 && step == 0:
			lost, lostEnd = page, end
		case at < 0:
		case at < len(page)-1:
			return p.pass(l, page[at+1:], end), nil
		default: // it ends where the last one did, be that elsewhere by now
			l.Rows, l.Behind = end, [2]int{end, limit}
			if p.byPage {
				l.Behind[0] = start + limit
			}
			return nil, nil
		}
	}
	l.Drift++
	l.Ended = len(lost) == 0
	return p.pass(l, lost, lostEnd), nil
}

// lookBehind ends the list if nothing is behind a page that showed nobody new:
// that it was short proves nothing. Where the list grew meanwhile, the last few
// of the known stand there, and again nobody behind them.
func (p pager[T]) lookBehind(ctx context.Context, l *listing) error {
	page, err := p.fetch(ctx, l.Behind[0], l.Behind[1])
	if err != nil {
		return err
	}
	moved := len(page) < min(tailLength, l.Behind[1]) && p.find(page, l.Tail) == len(page)-1
	l.Ended, l.Behind = len(page) == 0 || moved, [2]int{}
	l.Idle++
	return nil
}

// around chooses the page to read behind so many rows: it begins with some of
// them and reaches as far behind them as one of at most size can. By number
// that is a matter of the size; among very small ones there may be none.
func (p pager[T]) around(rows, size int) (start, limit int) {
	if !p.byPage || rows == 0 {
		return max(0, rows-max(1, min(overlap, size-1))), size
	}
	gain := -size
	for known := min(overlap, rows); known > 0 && gain < 1; known-- {
		at := rows - known
		for s := size; s > 0; s-- {
			if g := s - at%s - known; g > gain {
				start, limit, gain = at-at%s, s, g
			}
		}
	}
	return start, limit
}

// pass moves the listing behind fresh, the last of which is before end.
func (p pager[T]) pass(l *listing, fresh []T, end int) []T {
	for _, item := range fresh[max(0, len(fresh)-tailLength):] {
		l.Tail = append(l.Tail, p.id(item))
	}
	l.Tail = slices.Clone(l.Tail[max(0, len(l.Tail)-tailLength):])
	l.Rows, l.Idle = max(l.Rows, end), 0
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
		size: supersaas.MaxLimit, advice: "SuperSaaS ignores limit or offset",
		id: func(u supersaas.User) string { return strconv.FormatInt(u.ID, 10) },
		fetch: func(ctx context.Context, start, limit int) (page []supersaas.User, err error) {
			body, err := s.users.UsersPage(ctx, supersaas.UsersQuery{Limit: limit, Offset: start, Form: s.Mapping.UsesForm()})
			s.Governors.SuperSaaS.Note(err)
			if err != nil {
				return nil, err
			}
			if json.Unmarshal(body, &page) != nil {
				return nil, fmt.Errorf("listing users: %w: not the documented JSON", providers.ErrInvalid)
			}
			return page, nil
		},
	}
}

func (s *Stack) memberPages() pager[yappli.Member] {
	byPage := s.quirks.Paging == yappli.ByPage
	return pager[yappli.Member]{
		size: s.quirks.PageSize, byPage: byPage,
		advice: "set Yappli's quirk paging to offset or page, whichever the tenant obeys, and page_size to as many rows as it gives on a page, 30 or more",
		id:     func(m yappli.Member) string { return m.ID },
		fetch: func(ctx context.Context, start, limit int) ([]yappli.Member, error) {
			q := yappli.UsersQuery{Limit: limit, Offset: start}
			if byPage {
				q = yappli.UsersQuery{Limit: limit, Page: start/limit + 1}
			}
			body, err := s.members.UsersPage(ctx, q)
			s.Governors.Yappli.Note(err)
			if err != nil {
				return nil, err
			}
			return yappli.DecodeUsers(body)
		},
	}
}
