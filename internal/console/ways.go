package console

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// way is the page of what happened to one message.
func (s *Server) way() page {
	return page{Name: "way", Path: "/relay/ways/{id}", Under: "relay", load: s.loadWay, live: []string{"way-state", "way-steps", "way-sides"}}
}

type wayData struct {
	ID    string
	Found bool
	Way
	Body  string // of the webhook, as a person edits it
	Steps []wayStep
	Lag   time.Duration // from the webhook to the end
	Sides *comparison   // of whom it is about, as both are now; nil: nobody, or not known
}

// A wayStep is an event with the time since the one before.
type wayStep struct {
	Event
	After time.Duration
}

var wayID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

func (s *Server) loadWay(ctx context.Context, r *http.Request) (any, error) {
	d := wayData{ID: r.PathValue("id")}
	if !wayID.MatchString(d.ID) {
		return nil, saying("fault.no-way")
	}
	if s.options.Dev == nil {
		return d, nil
	}
	if d.Way, d.Found = s.options.Dev.Way(d.ID); !d.Found {
		return d, nil
	}
	d.ID = d.Way.ID
	d.Body = indented(d.Webhook)
	steps := d.Way.Steps
	for i, e := range steps[:min(len(steps), mostRows)] {
		step := wayStep{Event: e}
		if i > 0 {
			step.After = max(0, e.At.Sub(steps[i-1].At))
		}
		d.Steps = append(d.Steps, step)
	}
	if d.Ended && len(steps) > 1 {
		d.Lag = steps[len(steps)-1].At.Sub(steps[0].At)
	}
	if personID.MatchString(d.User) {
		ctx, cancel := context.WithTimeout(ctx, sidesPatience)
		defer cancel()
		if c, err := s.compare(ctx, d.User); err == nil {
			d.Sides = &c
		}
	}
	return d, nil
}

// sidesPatience is how long a message's way waits for both sides of its person: they have a
// page of their own.
const sidesPatience = 500 * time.Millisecond

// indented is a body as people read it; what is no JSON stays as it is.
func indented(body []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, body, "", "  ") != nil {
		return string(body)
	}
	return out.String()
}

// ofWay makes an action of a development stack on one message.
func (s *Server) ofWay(do func(ctx context.Context, dev Dev, id string, f url.Values) (any, error)) func(context.Context, url.Values) (any, error) {
	return func(ctx context.Context, f url.Values) (any, error) {
		id := f.Get("way")
		switch {
		case s.options.Dev == nil:
			return nil, saying("fault.dev-only")
		case !wayID.MatchString(id):
			return nil, saying("fault.no-way")
		}
		return do(ctx, s.options.Dev, id, f)
	}
}

func (s *Server) wayActions() []action {
	repeat := func(ctx context.Context, dev Dev, id string, edited []byte) (any, error) {
		again, err := dev.Repeat(ctx, id, edited)
		return map[string]string{"Way": again}, err
	}
	return []action{
		{name: "repeat", page: "way", do: s.ofWay(func(ctx context.Context, dev Dev, id string, _ url.Values) (any, error) {
			return repeat(ctx, dev, id, nil)
		})},
		{name: "repeat-edited", page: "way", do: s.ofWay(func(ctx context.Context, dev Dev, id string, f url.Values) (any, error) {
			body := strings.TrimSpace(f.Get("body"))
			if !json.Valid([]byte(body)) {
				return nil, saying("fault.no-json")
			}
			return repeat(ctx, dev, id, []byte(body))
		})},
		{name: "delay", do: s.ofWay(func(_ context.Context, dev Dev, id string, f url.Values) (any, error) {
			by, err := time.ParseDuration(strings.TrimSpace(f.Get("by")))
			if err != nil || by <= 0 || by > 12*time.Hour {
				return nil, saying("fault.delay")
			}
			return nil, dev.Delay(id, by)
		})},
		{name: "duplicate", do: s.ofWay(func(_ context.Context, dev Dev, id string, _ url.Values) (any, error) {
			return nil, dev.Duplicate(id)
		})},
		{name: "drop", do: s.ofWay(func(_ context.Context, dev Dev, id string, _ url.Values) (any, error) {
			return nil, dev.Drop(id)
		})},
	}
}
