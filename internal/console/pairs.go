package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// pairs is the page of users and members of whom a person decides whether they are one.
func (s *Server) pairs() page {
	return page{Name: "pairs", Path: "/relay/pairs", Under: "relay", load: s.loadPairs, live: []string{"pairs-list"}}
}

// pairsShown is how many pairs are shown with both records at once: each is read live.
const pairsShown = 10

type pairsData struct {
	Pairs   []shownPair
	Waiting int
	Token   string
	After   int // how many pairs stand before these
}

// Next is where the next ones begin; 0: these are the last.
func (d pairsData) Next() int {
	if next := d.After + len(d.Pairs); next < d.Waiting {
		return next
	}
	return 0
}

// A shownPair is a pair with both records, or why they cannot be shown.
type shownPair struct {
	waitingPair
	Sides pairSides
	Err   error
}

// A pairSides is what 'hikyaku links show' prints.
type pairSides struct {
	User     string            `json:"user_id"`
	Member   string            `json:"member"`
	How      string            `json:"how"`
	UniqueID string            `json:"unique_id"`
	Fields   map[string]string `json:"user"`
	Wish     map[string]string `json:"wish"`
	Bearer   map[string]string `json:"bearer"`
	Token    string            `json:"token"`
	Owner    string            `json:"owner"`
}

// Choice is the pair as a form names it, with the token of what was shown.
func (p pairSides) Choice() string { return p.User + " " + p.Token }

// A pairRow is one field of Yappli of a pair: what the member holds, and what would be
// written.
type pairRow struct {
	Name, Holds, Wish string
	Sent, Differs     bool
}

// Rows are the fields of either side.
func (p pairSides) Rows() []pairRow {
	names := map[string]string{}
	for name := range p.Bearer {
		names[name] = ""
	}
	for name := range p.Wish {
		names[name] = ""
	}
	rows := make([]pairRow, 0, len(names))
	for _, v := range sorted(names) {
		wish, sent := p.Wish[v.Name]
		rows = append(rows, pairRow{v.Name, p.Bearer[v.Name], wish, sent, sent && wish != p.Bearer[v.Name]})
	}
	return rows
}

// ShopFields is the user's record.
func (p pairSides) ShopFields() []value { return sorted(p.Fields) }

func (s *Server) pair(ctx context.Context, user string) (p pairSides, err error) {
	err = s.reader.readMarked(ctx, s.lastEvent(Filter{User: user, Kinds: ofPeople()}), s.options.Fresh, &p, "links", "show", "--user", user)
	return p, err
}

func (s *Server) loadPairs(ctx context.Context, r *http.Request) (any, error) {
	list, err := s.waiting(ctx)
	if err != nil {
		return nil, err
	}
	after, _ := strconv.Atoi(r.URL.Query().Get("after"))
	after = max(0, min(after, len(list.Pairs)))
	d := pairsData{Waiting: len(list.Pairs), Token: list.Token, After: after}
	page := list.Pairs[after:min(after+pairsShown, len(list.Pairs))]
	d.Pairs = make([]shownPair, len(page))
	var group sync.WaitGroup
	turns := make(chan struct{}, 4) // both systems are asked for each
	for i, p := range page {
		d.Pairs[i].waitingPair = p
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			d.Pairs[i].Sides, d.Pairs[i].Err = s.pair(ctx, p.User)
		})
	}
	group.Wait()
	return d, nil
}

func (s *Server) pairActions() []action {
	return []action{
		{name: "approve", several: func(f url.Values) ([][]string, error) { return decided("approve", f) }},
		{name: "reject", several: func(f url.Values) ([][]string, error) { return decided("reject", f) }},
		{name: "approve-all", command: func(f url.Values) ([]string, error) {
			if f.Get("token") == "" {
				return nil, saying("fault.no-pair")
			}
			return []string{"links", "approve", "--all", "--token", f.Get("token")}, nil
		}},
	}
}

// decided are the commands that decide on each pair of a form. Each names what was shown of
// it, so that nobody decides on a record that has changed since.
func decided(verb string, f url.Values) ([][]string, error) {
	var commands [][]string
	for _, choice := range f["pair"] {
		user, token, _ := strings.Cut(choice, " ")
		user, err := numbered(user)
		if err != nil {
			return nil, err
		}
		args := []string{"links", verb, "--user", user}
		if token != "" {
			args = append(args, "--token", token)
		}
		commands = append(commands, args)
	}
	if len(commands) == 0 {
		return nil, saying("fault.no-pair")
	}
	return commands, nil
}
