package console

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mapping is the page where the mapping is written, tried and published.
func (s *Server) mapping() page {
	return page{Name: "mapping", Path: "/mapping", Main: true, nonce: true, load: s.loadMapping, live: []string{"mapping-log"}}
}

type mappingData struct {
	shownMapping

	ShowErr error
	Log     []publishedMapping // the newest first
	LogErr  error
	People  mappingPeople
}

// Undo reports whether one was published before the one that counts.
func (d mappingData) Undo() bool { return len(d.Log) > 1 }

// A shownMapping is what 'hikyaku mapping show' prints.
type shownMapping struct {
	Digest    string `json:"digest"`
	Published bool   `json:"published"`
	By        string `json:"by"`
	Why       string `json:"why"`
	Source    string `json:"source"`
}

// A publishedMapping is a line of 'hikyaku mapping log'.
type publishedMapping struct {
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Why    string    `json:"why"`
	Undo   bool      `json:"undo"`
}

// Short is the beginning of its digest, which names it well enough.
func (p publishedMapping) Short() string { return p.Digest[:min(12, len(p.Digest))] }

// mostTried is on how many people a mapping is tried.
const mostTried = 3

// mappingPeople are the people beside the editor: those on whom the mapping is tried, and
// others who can be chosen.
type mappingPeople struct {
	Chosen, Found []foundPerson
	Err           error
}

func (s *Server) loadMapping(ctx context.Context, _ *http.Request) (any, error) {
	var d mappingData
	d.ShowErr = s.reader.read(ctx, &d.shownMapping, "mapping", "show")
	var printed struct {
		Entries []publishedMapping `json:"entries"`
	}
	d.LogErr = s.reader.read(ctx, &printed, "mapping", "log")
	d.Log = printed.Entries
	slices.Reverse(d.Log)
	d.Log = d.Log[:min(len(d.Log), mostRows)]
	var people personList
	// Whoever is at hand: the same ones all the time, so that the page does not jump.
	d.People.Err = s.reader.readWithin(ctx, 10*time.Minute, &people, "users", "list", "supersaas", "--limit", "3")
	d.People.Chosen = people.Records[:min(mostTried, len(people.Records))]
	return d, nil
}

// source is the mapping in a form, with the line ends of a file.
func source(f url.Values) []byte {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(f.Get("mapping"))
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return []byte(text)
}

func (s *Server) mappingActions() []action {
	return []action{
		{name: "mapping-try", page: "mapping", reads: true, stdin: source, shape: triedMapping, command: func(f url.Values) ([]string, error) {
			users := chosenUsers(f)
			if len(users) == 0 {
				return []string{"mapping", "try", "-"}, nil
			}
			return []string{"mapping", "try", "-", "--user", strings.Join(users, ","), "--compare"}, nil
		}},
		{name: "mapping-count", page: "mapping", reads: true, stdin: source, shape: triedMapping, command: func(url.Values) ([]string, error) {
			return []string{"mapping", "try", "-", "--count"}, nil
		}},
		{name: "mapping-people", page: "mapping", reads: true, shape: s.choosePeople, command: func(f url.Values) ([]string, error) {
			args := []string{"users", "list", "supersaas", "--limit", "10"}
			if words := strings.TrimSpace(f.Get("words")); words != "" {
				args = append(args, "--search", words)
			}
			return args, nil
		}},
		{name: "mapping-put", stdin: source, command: func(f url.Values) ([]string, error) {
			return withReason([]string{"mapping", "put", "-", "--yes"}, whyOf(f))
		}},
		{name: "mapping-undo", page: "mapping", shape: s.nowPublished, command: func(f url.Values) ([]string, error) {
			return withReason([]string{"mapping", "undo", "--yes"}, whyOf(f))
		}},
		{name: "mapping-load", page: "mapping", reads: true, shape: loadedMapping, command: func(f url.Values) ([]string, error) {
			if !publishedDigest.MatchString(f.Get("digest")) {
				return nil, saying("fault.no-mapping")
			}
			return []string{"mapping", "show", "--at", f.Get("digest")}, nil
		}},
	}
}

var publishedDigest = regexp.MustCompile(`^[0-9a-f]{6,64}$`)

// withReason adds a reason for those who read the list of what was published.
func withReason(args []string, why string) ([]string, error) {
	if why = strings.TrimSpace(why); why != "" {
		args = append(args, "--reason", why)
	}
	return args, nil
}

// chosenUsers are those on whom a form tries a mapping.
func chosenUsers(f url.Values) []string {
	var users []string
	for _, u := range f["user"] {
		if personID.MatchString(u) && !slices.Contains(users, u) && len(users) < mostTried {
			users = append(users, u)
		}
	}
	return users
}

// A mappingTrial is what 'hikyaku mapping try' prints.
type mappingTrial struct {
	Digest string         `json:"digest"`
	Faults []mappingFault `json:"faults"`
	Users  []triedPerson  `json:"users"`
	Count  *mappingChange `json:"count"`
}

type mappingFault struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Key    string `json:"key"`
	Text   string `json:"text"`
}

// A triedPerson is what a mapping makes of one person.
type triedPerson struct {
	User    string      `json:"user_id"`
	Outcome string      `json:"outcome"`
	Fields  []fieldSide `json:"fields"`
	Name    string      `json:"-"`
}

// A mappingChange is of how many people a mapping makes something else than the one that
// counts.
type mappingChange struct {
	Users   int                     `json:"users"`
	Changed int                     `json:"changed"`
	Partial bool                    `json:"partial"`
	Fields  map[string]*fieldChange `json:"fields"`
}

type fieldChange struct {
	Name          string `json:"-"`
	Changed       int    `json:"changed"`
	Unreadable    int    `json:"unreadable"`
	WasUnreadable int    `json:"was_unreadable"`
	Dropped       bool   `json:"dropped"`
}

// ByField are the fields that change for anybody.
func (c mappingChange) ByField() []fieldChange {
	var all []fieldChange
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		if f := c.Fields[name]; f != nil && (f.Changed > 0 || f.Unreadable != f.WasUnreadable || f.Dropped) {
			f.Name = name
			all = append(all, *f)
		}
	}
	return all
}

// triedMapping reads a trial, and gives the people the names by which the page shows them.
func triedMapping(_ context.Context, raw json.RawMessage, f url.Values) (any, error) {
	var t mappingTrial
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, err
	}
	for i := range t.Users {
		t.Users[i].Name = f.Get("name-" + t.Users[i].User)
	}
	slices.SortStableFunc(t.Faults, func(a, b mappingFault) int { return cmp.Compare(a.Line, b.Line) })
	return t, nil
}

// choosePeople keeps those who are chosen, and adds those whom a search has found.
func (s *Server) choosePeople(_ context.Context, raw json.RawMessage, f url.Values) (any, error) {
	var printed personList
	if err := json.Unmarshal(raw, &printed); err != nil {
		return nil, err
	}
	var p mappingPeople
	chosen := chosenUsers(f)
	for _, id := range chosen {
		p.Chosen = append(p.Chosen, foundPerson{ID: id, Record: map[string]any{"full_name": f.Get("name-" + id)}})
	}
	for _, u := range printed.Records {
		if !slices.Contains(chosen, u.ID) {
			p.Found = append(p.Found, u)
		}
	}
	return p, nil
}

// A loaded is a mapping for the editor, and what was done for it.
type loaded struct {
	Source string
	Short  string
}

// nowPublished is the mapping that counts after one was taken back.
func (s *Server) nowPublished(ctx context.Context, _ json.RawMessage, _ url.Values) (any, error) {
	s.reader.forget()
	var shown shownMapping
	err := s.reader.read(ctx, &shown, "mapping", "show")
	return loaded{shown.Source, publishedMapping{Digest: shown.Digest}.Short()}, err
}

func loadedMapping(_ context.Context, raw json.RawMessage, _ url.Values) (any, error) {
	var shown shownMapping
	err := json.Unmarshal(raw, &shown)
	return loaded{shown.Source, publishedMapping{Digest: shown.Digest}.Short()}, err
}
