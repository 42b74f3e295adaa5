package console

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A letter is a dead letter, as 'hikyaku dead' prints it.
type letter struct {
	Entry struct {
		User    string    `json:"user"`
		Event   string    `json:"event"`
		Deleted bool      `json:"deleted"`
		At      time.Time `json:"at"`
		Class   string    `json:"class"`
	} `json:"entry"`
	Says string `json:"says"`
}

// lettersOf are a user's dead letters, as far as they are known now.
func (s *Server) lettersOf(ctx context.Context, user string) []letter {
	all, _, _ := s.letters(ctx) // their own page says why they are not known
	return slices.DeleteFunc(slices.Clone(all), func(l letter) bool { return l.Entry.User != user })
}

// Known reports whether it names a user.
func (l letter) Known() bool { return personID.MatchString(l.Entry.User) }

// againAfter is how long a list of dead letters is shown from which some are missing:
// somebody else was reading them, or they stand behind others of the same user.
const againAfter = 3 * time.Second

// A lettersRead is how many dead letters there were, and whether all of them were seen.
type lettersRead struct {
	mu    sync.Mutex
	dead  int
	short bool
	again string // names when they were read again
}

// mark names a list of dead letters: it is another one if their number is, or after a while
// if some of them were hidden.
func (l *lettersRead) mark(dead int, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case dead != l.dead:
		l.dead, l.again = dead, ""
	case l.short:
		l.again = now.Truncate(againAfter).String()
	}
	return strconv.Itoa(dead) + " " + l.again
}

func (l *lettersRead) saw(letters int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.short = letters < l.dead
}

// letters are the dead letters, the oldest first; late: as they were, because a queue is
// asked for a second. Reading them hides them from others for a moment, so that they are
// not read without need.
func (s *Server) letters(ctx context.Context) (all []letter, late bool, err error) {
	mark := ""
	if dev := s.options.Dev; dev != nil {
		dead := dev.State().Dead
		if dead == 0 {
			return nil, false, nil
		}
		mark = s.lettersRead.mark(dead, s.options.Now())
	}
	var printed struct {
		Dead []letter `json:"dead_letters"`
	}
	late, err = s.reader.readSoon(ctx, mark, s.options.Fresh, &printed, "dead")
	if !late {
		s.lettersRead.saw(len(printed.Dead))
	}
	return printed.Dead, late, err
}

// A cause is why messages were given up, with how many.
type cause struct {
	Class   string
	Letters []letter
}

// causes groups dead letters by why they were given up, the most frequent first.
func causes(letters []letter) []cause {
	var all []cause
	for _, l := range letters {
		i := slices.IndexFunc(all, func(c cause) bool { return c.Class == l.Entry.Class })
		if i < 0 {
			i = len(all)
			all = append(all, cause{Class: l.Entry.Class})
		}
		all[i].Letters = append(all[i].Letters, l)
	}
	slices.SortStableFunc(all, func(a, b cause) int { return cmp.Compare(len(b.Letters), len(a.Letters)) })
	return all
}

// A waitingPair is a user and a member of whom a person has to say whether they are one.
type waitingPair struct {
	User   string    `json:"user_id"`
	Member string    `json:"member"`
	How    string    `json:"how"`
	At     time.Time `json:"at"`
}

// A waitingList is what 'hikyaku links list' prints.
type waitingList struct {
	Pairs []waitingPair `json:"pairs"`
	Token string        `json:"token"` // decides these pairs and no others
}

func (s *Server) waiting(ctx context.Context) (list waitingList, err error) {
	err = s.reader.readMarked(ctx, s.lastEvent(Filter{Kinds: []Kind{Handled, Compared}}), s.options.Fresh, &list, "links", "list")
	return list, err
}

// A resting is that a part of the stack is paused.
type resting struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
}

// paused is the pause of the relay; nil: it works.
func (s *Server) paused(ctx context.Context) (*resting, error) {
	var printed struct {
		Paused struct{ Relay *resting }
	}
	err := s.reader.readWithin(ctx, max(s.options.Fresh, 10*time.Second), &printed, "pause")
	return printed.Paused.Relay, err
}

// lastEvent names the last event of a kind; of a deployed stack none is known.
func (s *Server) lastEvent(f Filter) string {
	if s.options.Dev == nil {
		return ""
	}
	f.Limit = 1
	events := s.options.Dev.Events(f)
	if len(events) == 0 {
		return "none"
	}
	return events[0].ID
}

// ofPeople are the kinds of event after which a person may stand elsewhere.
func ofPeople() []Kind { return []Kind{Webhook, Queued, Handled, Died, Edited} }

// numbered returns a form's field that is the number of a user.
func numbered(text string) (string, error) {
	if text = strings.TrimSpace(text); !personID.MatchString(text) {
		return "", saying("fault.no-user")
	}
	return text, nil
}
