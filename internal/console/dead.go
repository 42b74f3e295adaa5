package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// dead is the page of the messages that were given up.
func (s *Server) dead() page {
	return page{Name: "dead", Path: "/relay/dead", Under: "relay", load: s.loadDead, live: []string{"dead-count", "dead-list"}}
}

type deadData struct {
	Causes []cause
	Letters,
	All int // in the dead-letter queue
	Late bool // they are being read
}

func (s *Server) loadDead(ctx context.Context, _ *http.Request) (any, error) {
	letters, late, err := s.letters(ctx)
	if err != nil {
		return nil, err
	}
	d := deadData{Late: late, Causes: causes(letters), Letters: len(letters), All: len(letters)}
	if s.options.Dev != nil {
		d.All = max(d.All, s.options.Dev.State().Dead)
	}
	return d, nil
}

// mends are the pages where the causes of dead letters are mended.
var mends = map[string]string{
	"refused": "/mapping", "unreadable_answer": "/mapping", "credential": "/tokens", "awaiting_approval": "/relay/pairs", "disabling_stopped": "/relay",
	"provider_resting": "/", "rate_limited": "/", "temporary": "/", "bad_answer": "/", "store": "/", "update_rule_unknown": "/",
}

// Mend is the page where the cause is mended; empty: a person's own page says it.
func (c cause) Mend() string { return mends[c.Class] }

// Shown are as many letters of the cause as a page shows.
func (c cause) Shown() []letter { return c.Letters[:min(len(c.Letters), mostRows/2)] }

// Known reports whether any of them can be sent again.
func (c cause) Known() bool { return slices.ContainsFunc(c.Letters, letter.Known) }

func (s *Server) deadActions() []action {
	return []action{
		{name: "redrive", command: func(f url.Values) ([]string, error) {
			var users []string
			for _, user := range f["user"] {
				user, err := numbered(user)
				if err != nil {
					return nil, err
				}
				if !slices.Contains(users, user) {
					users = append(users, user)
				}
			}
			if len(users) == 0 {
				return nil, saying("fault.no-letter")
			}
			return []string{"redrive", "--user", strings.Join(users, ",")}, nil
		}},
		{name: "redrive-class", command: func(f url.Values) ([]string, error) {
			if !plainWord.MatchString(f.Get("class")) {
				return nil, saying("fault.no-cause")
			}
			return []string{"redrive", "--class", f.Get("class")}, nil
		}},
		{name: "redrive-all", command: func(url.Values) ([]string, error) { return []string{"redrive"}, nil }},
	}
}
