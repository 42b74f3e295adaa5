package console

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// May reports whether the person who looks may change the stack.
func (v view) May() bool { return v.Dev || v.Write }

// A deed is an action with everything that it needs: a button that does it, and one that
// copies its command.
type deed struct {
	View     view
	Action   string
	ID       string // of its button
	Values   url.Values
	Copy     string // empty: no command does it
	Question string // asked before; empty: none
	Class    string // of its button
	Label    string // key of its text
}

// deed makes one for a template, from the names and values of its form.
func (s *Server) deed(v view, name string, pairs ...string) deed {
	d := deed{View: v, Action: name, ID: name, Values: url.Values{}, Label: "action." + name}
	for i := 0; i+1 < len(pairs); i += 2 {
		d.Values.Add(pairs[i], pairs[i+1])
		d.ID += "-" + pairs[i+1]
	}
	d.ID = strings.Trim(unfitForID.ReplaceAllString(d.ID, "-"), "-")
	a := s.actions[name]
	if a.do != nil {
		return d
	}
	if commands, err := a.commands(d.Values); err == nil {
		d.Copy = s.copied(nil, commands)
	}
	return d
}

var unfitForID = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// Main makes it the one that the page is about.
func (d deed) Main() deed { d.Class = "main"; return d }

// Danger marks one that takes something away, and asks before.
func (d deed) Danger(question string) deed { d.Class, d.Question = "danger", question; return d }

// Asks lets it ask before.
func (d deed) Asks(question string) deed { d.Question = question; return d }

// Says gives its button another text.
func (d deed) Says(key string) deed { d.Label = key; return d }

// In tells it from the same one elsewhere on the page.
func (d deed) In(place string) deed { d.ID = place + "-" + d.ID; return d }

// pageOf is the address of the page where a person can do what a command does; empty: no
// page is about it.
func (s *Server) pageOf(command string) string {
	words := strings.Fields(strings.TrimPrefix(command, "hikyaku "))
	if len(words) == 0 {
		return ""
	}
	if i := slices.Index(words, "--user"); i > 0 && i+1 < len(words) && personID.MatchString(words[i+1]) && words[0] != "redrive" {
		return "/relay/people/" + words[i+1]
	}
	address := map[string]string{
		"links": "/relay/pairs", "dead": "/relay/dead", "redrive": "/relay/dead", "reconcile": "/relay", "relay": "/relay", "pause": "/relay", "resume": "/relay",
		"mapping": "/mapping", "tokens": "/tokens", "connect": "/tokens", "export": "/exports", "verify": "/exports", "doctor": "/",
	}[words[0]]
	if !slices.ContainsFunc(s.pages, func(p page) bool { return p.Address() == address }) {
		return ""
	}
	return address
}

// personID is the number of a user of the booking page.
var personID = regexp.MustCompile(`^[1-9][0-9]{0,17}$`)
