package webhookrelay

import (
	"context"
	"errors"
	"time"

	"hikyaku/internal/objectstore"
)

// capWindow is what the cap on disablings counts.
const capWindow = time.Hour

// swapAttempts bounds the tries of a swap that many workers contend for.
const swapAttempts = 20

// disablings is the document cap: one for all workers.
type disablings struct {
	Recent  map[int64]time.Time `json:"recent"`
	Stopped bool                `json:"stopped"`
}

// mayDisable counts a disabling, or refuses it: after the cap, all are refused
// until Release. A user who is counted already is not counted twice, so a
// repeated attempt costs nothing.
func (s *Stack) mayDisable(ctx context.Context, user int64) (bool, error) {
	allowed := false
	err := s.changeCap(ctx, func(d *disablings) bool {
		now := s.Now()
		for u, at := range d.Recent {
			if now.Sub(at) >= capWindow {
				delete(d.Recent, u)
			}
		}
		_, counted := d.Recent[user]
		if !counted && len(d.Recent) >= s.Settings.cap() {
			d.Stopped = true
		}
		if allowed = !d.Stopped; allowed && !counted {
			d.Recent[user] = now.UTC()
		}
		return true
	})
	return allowed, err
}

// Release lets disablings go on after the cap stopped them, with the count
// from zero. It is a person's decision. stopped reports whether they were; if
// not, the count stays.
func (s *Stack) Release(ctx context.Context) (stopped bool, err error) {
	err = s.changeCap(ctx, func(d *disablings) bool {
		stopped = d.Stopped
		*d = disablings{}
		return stopped
	})
	return stopped, err
}

// changeCap stores what change made of the document, if change returns true.
func (s *Stack) changeCap(ctx context.Context, change func(*disablings) bool) error {
	for attempt := 1; ; attempt++ {
		var d disablings
		document, err := s.readInto(ctx, s.root+"cap", &d)
		if err != nil {
			return err
		}
		if d.Recent == nil {
			d.Recent = map[int64]time.Time{}
		}
		if !change(&d) {
			return nil
		}
		if _, err = document.Replace(ctx, s.Objects, d); !errors.Is(err, objectstore.ErrConflict) || attempt >= swapAttempts {
			return err
		}
	}
}
