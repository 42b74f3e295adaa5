package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// people is the page where customers are found.
func (s *Server) people() page {
	return page{Name: "people", Path: "/relay/people", Under: "relay", load: func(context.Context, *http.Request) (any, error) { return nil, nil }}
}

// person is one customer's page.
func (s *Server) person() page {
	return page{Name: "person", Path: "/relay/people/{id}", Under: "relay", load: s.loadPerson, live: []string{"person-standing", "person-sides", "person-story", "person-live"}}
}

type personData struct {
	ID string
	comparison

	Paused  *resting
	Help    help
	Pair    *pairSides // that waits for a decision
	Letters []letter
	Story   []storyLine
	TellErr error // why the story is not known
	Live    []Event
}

// A storyLine is a job that wrote, as 'hikyaku history' prints it.
type storyLine struct {
	Entry struct {
		At      time.Time `json:"at"`
		Cause   string    `json:"cause"`
		Outcome string    `json:"outcome"`
		Fields  []string  `json:"fields"`
		Request string    `json:"request"`
		Mapping string    `json:"mapping"`
	} `json:"entry"`
	Says string `json:"says"`
}

func (s *Server) loadPerson(ctx context.Context, r *http.Request) (any, error) {
	d := personData{ID: r.PathValue("id")}
	if !personID.MatchString(d.ID) {
		return nil, saying("fault.no-person")
	}
	var told struct {
		Events []storyLine `json:"events"`
	}
	var group sync.WaitGroup
	group.Go(func() {
		d.TellErr = s.reader.readMarked(ctx, s.lastEvent(Filter{User: d.ID, Kinds: ofPeople()}), s.soon(), &told, "history", "--user", d.ID, "--letters=false")
	})
	group.Go(func() { d.Paused, _ = s.paused(ctx) }) // the relay's page says why it is not known
	group.Go(func() { d.Letters = s.lettersOf(ctx, d.ID) })
	var err error
	d.comparison, err = s.compare(ctx, d.ID)
	if group.Wait(); err != nil {
		return nil, err
	}
	d.Story = told.Events
	slices.Reverse(d.Story) // the newest first
	if d.Help = s.helpFor(d.comparison, d.Letters); d.Help.Action == "approve" && d.Now.Entry == "awaiting_approval" {
		if pair, err := s.pair(ctx, d.ID); err == nil {
			d.Pair, d.Help.Values = &pair, []string{"pair", pair.Choice()}
		}
	}
	if s.options.Dev != nil {
		d.Live = s.options.Dev.Events(Filter{User: d.ID, Limit: 50})
	}
	return d, nil
}

func (s *Server) peopleActions() []action {
	return []action{
		{
			name: "find-people", page: "people", reads: true, shape: foundPeople,
			command: func(f url.Values) ([]string, error) {
				words := strings.TrimSpace(f.Get("words"))
				if words == "" {
					return nil, saying("fault.no-words")
				}
				return []string{"users", "list", "supersaas", "--search", words, "--limit", "50"}, nil
			},
		},
		{
			name: "not-arrived", page: "people", reads: true, shape: notArrived,
			command: func(url.Values) ([]string, error) { return []string{"reconcile", "--dry-run"}, nil },
		},
		{
			name: "show-sides", page: "dead", reads: true,
			command: func(f url.Values) ([]string, error) {
				user, err := numbered(f.Get("of"))
				return []string{"compare", "--user", user, "--letters=false"}, err
			},
			shape: func(_ context.Context, raw json.RawMessage, _ url.Values) (any, error) {
				var c comparison
				err := json.Unmarshal(raw, &c)
				return c, err
			},
		},
	}
}

// A foundPerson is somebody whom a search found.
type foundPerson struct {
	ID     string         `json:"id"`
	Record map[string]any `json:"record"` // as the booking page holds it
}

// A personList is what 'hikyaku users list' prints.
type personList struct {
	Records []foundPerson `json:"records"`
	Stopped string        `json:"stopped"` // limit or most: there may be others
}

type foundList struct {
	People []foundPerson
	More   bool   // there may be others
	Number string // that was searched for, which may be of somebody who is gone
}

func foundPeople(_ context.Context, raw json.RawMessage, f url.Values) (any, error) {
	var printed personList
	if err := json.Unmarshal(raw, &printed); err != nil {
		return nil, err
	}
	list := foundList{People: printed.Records, More: printed.Stopped == "limit" || printed.Stopped == "most"}
	if words := strings.TrimSpace(f.Get("words")); personID.MatchString(words) {
		list.Number = words
		for _, p := range list.People {
			if p.ID == words {
				list.Number = ""
			}
		}
	}
	return list, nil
}

// Shown is a field of somebody, or a dash.
func (p foundPerson) Shown(names ...string) string {
	for _, name := range names {
		if text, _ := p.Record[name].(string); text != "" {
			return text
		}
	}
	return "–"
}

// A difference is somebody who has not arrived, as 'hikyaku reconcile --dry-run' names them.
type difference struct {
	User   string   `json:"user_id"`
	Reason string   `json:"reason"`
	Fields []string `json:"fields"`
}

// A comparedLists is what a comparison of both lists has found.
type comparedLists struct {
	Users, Matched int
	People         []difference // as many as a page shows
	All            int
}

func notArrived(_ context.Context, raw json.RawMessage, _ url.Values) (any, error) {
	var printed struct {
		Differences []difference
		Report      struct {
			Users, Matched int
			Named          []difference
		}
	}
	if err := json.Unmarshal(raw, &printed); err != nil {
		return nil, err
	}
	all := slices.Concat(printed.Differences, printed.Report.Named)
	return comparedLists{printed.Report.Users, printed.Report.Matched, all[:min(len(all), mostRows)], len(all)}, nil
}
