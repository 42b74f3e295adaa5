package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"hikyaku/internal/pagination"
	"hikyaku/pkg/providers"
)

// An empty answer looks the same whether there is nothing or the provider is out
// of order. So it is asked for again before the run is published: all empty lists
// of a run together, so that a night with twenty empty calendars waits once.
const (
	firstPause  = 2 * time.Second
	secondPause = 30 * time.Second
)

// A question is an end of a list that is asked for again.
type question struct {
	Pass int `json:"pass"`
	// End is where a list ended with fewer rows than the provider counted; nil:
	// the list was empty.
	End  *pagination.Position `json:"end,omitempty"`
	Said int                  `json:"said,omitempty"`
}

// toAskAgain notes the question that the end of a pass leaves, if it leaves one.
func (x *extraction) toAskAgain(ctx context.Context, at pagination.Position) error {
	said, counted := at.Counted()
	noted := slices.ContainsFunc(x.journal.Open, func(q question) bool { return q.Pass == at.Pass })
	switch {
	case noted || x.journal.Reviewed || x.steps[at.Pass].owed:
		return nil
	case at.Seen == 0 && at.Signs.Unread > 0: // it is not empty, and in doubt
		return nil
	case at.Seen == 0:
		x.journal.Open = append(x.journal.Open, question{Pass: at.Pass})
	case counted && at.Seen < said:
		x.journal.Open = append(x.journal.Open, question{Pass: at.Pass, End: &at, Said: said})
	default:
		return nil
	}
	return x.keep(context.WithoutCancel(ctx))
}

// A confirmation asks an extraction's questions again.
type confirmation struct{ x *extraction }

// all asks every question again, and once more those that were then answered
// differently. A list that turns out to have rows, or to go on, is read.
func (c confirmation) all(ctx, reading context.Context) error {
	x := c.x
	x.atRowBoundary = true
	for len(x.journal.Open) > 0 {
		open := x.journal.Open
		differ, err := c.askAll(reading, open, firstPause)
		if err == nil && len(differ) > 0 {
			var still []question
			if still, err = c.askAll(reading, differ, secondPause); err == nil && len(still) < len(differ) {
				err = byTurns(x.run.Dataset)
			}
		}
		if err != nil {
			return err
		}
		for _, q := range open {
			if q.End != nil && !slices.Contains(differ, q) {
				x.noteShort(q)
			}
		}
		x.journal.Open = differ
		if err := x.keep(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		for _, q := range differ {
			if err := c.reopen(ctx, reading, q); err != nil {
				return err
			}
		}
	}
	return nil
}

// noteShort notes a count of the provider that stayed above what was found. A
// count alone may be wrong and blocks nobody. If the pass also has a record that
// cannot be read, rows after it could not be asked for, and are known to be missing.
func (x *extraction) noteShort(q question) {
	pass, found := x.steps[q.Pass].Name, q.End.Seen
	unread := slices.ContainsFunc(x.journal.Owed, func(o Owed) bool { return o.Pass == pass && o.SinceRun == x.run.ID })
	if !unread {
		x.journal.Total = append(x.journal.Total, WrongTotal{Pass: pass, Said: q.Said, Found: found})
		return
	}
	x.journal.Doubts = append(x.journal.Doubts, Doubt{
		Kind: DoubtUnread, Pass: pass, Count: q.Said - found,
		Detail: fmt.Sprintf("the provider counts %d rows where %d were found, and a record that cannot be read may hide the others", q.Said, found),
	})
}

// askAll asks questions again after a pause, and returns those that were
// answered differently.
func (c confirmation) askAll(reading context.Context, open []question, pause time.Duration) (differ []question, err error) {
	if err := c.x.seams.Sleep(reading, pause); err != nil {
		return nil, err
	}
	for _, q := range open {
		equal, err := c.ask(reading, q)
		if err != nil {
			return nil, err
		}
		if !equal {
			differ = append(differ, q)
		}
	}
	return differ, nil
}

// byTurns is the error of a provider whose answers alternate.
func byTurns(d Dataset) error {
	return &providers.Error{Provider: d.Provider, Op: "export", Kind: providers.ErrTemporary,
		Detail: "a list is empty and not empty by turns; nothing is published until it says the same twice"}
}

// reopen reads a list that has turned out not to be empty, or to go on after
// its end.
func (c confirmation) reopen(ctx, reading context.Context, q question) error {
	x := c.x
	if x.journal.Reopened++; x.journal.Reopened > len(x.steps)*maxLooks {
		return byTurns(x.run.Dataset)
	}
	if !x.part.empty() {
		if err := x.store(ctx); err != nil {
			return err
		}
	}
	x.part.point.Next = pagination.Position{Pass: q.Pass, Looks: x.part.point.Next.Looks}
	if q.End != nil {
		x.part.point.Next.Look, x.part.point.Next.Seen = reviewLook, q.End.Seen
	}
	x.journal.Open = slices.DeleteFunc(x.journal.Open, func(open question) bool { return open.Pass == q.Pass })
	x.notePlace()
	if err := x.keep(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	for x.part.point.Next.Pass == q.Pass {
		if !x.part.point.Next.Done {
			if err := x.readPass(ctx, reading); err != nil {
				return err
			}
		}
		if err := x.judgePass(ctx, reading); err != nil {
			return err
		}
	}
	x.part.point.Next = pagination.Position{Pass: len(x.steps), Looks: x.part.point.Next.Looks}
	return nil
}

// emptied settles a pass whose rows have all left its window since they were read:
// two looks in a row have found nothing, and nor does a question after a pause.
func (c confirmation) emptied(reading context.Context, at *pagination.Position) error {
	still, err := c.askAll(reading, []question{{Pass: at.Pass}}, firstPause)
	if err == nil && len(still) == 0 {
		at.Signs.Torn = 0
	}
	return err
}

// ask reports whether a question gets the same answer: an empty list, or
// no row after the last one.
func (c confirmation) ask(reading context.Context, q question) (equal bool, err error) {
	at := pagination.Position{Pass: q.Pass}
	if q.End != nil {
		at = *q.End
		at.Done = false
	}
	r := c.x.reader(reading, at, pagination.NewKnown(pagination.Everything), &pagination.Drift{}) // nothing is taken
	defer func() {
		r.Close()
		c.x.pages += r.Pages()
	}()
	for {
		p, err := r.Next(reading)
		switch {
		case errors.Is(err, io.EOF):
			return r.Position().Signs.Unread == at.Signs.Unread, nil // nor a place that cannot be read
		case err != nil:
			return false, err
		case len(p.Rows) > 0:
			return false, nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The doubts about a pass.
const (
	DoubtPlace    = "place"    // a place could not be brought to match
	DoubtRepeated = "repeated" // rows stood further on in the list than where they had been read
	DoubtLate     = "late"     // the last look still found rows that had been missed
	DoubtUnread   = "unread"   // a record that cannot be read hides others
)

// doubtsAbout says why a pass is in doubt; none if it is not.
func doubtsAbout(at pagination.Position, pass string, settled bool) []Doubt {
	var doubts []Doubt
	add := func(kind string, count int, format string, args ...any) {
		if count > 0 {
			doubts = append(doubts, Doubt{Kind: kind, Pass: pass, Count: count, Detail: fmt.Sprintf(format, args...)})
		}
	}
	s := at.Signs
	add(DoubtUnread, s.Unread, "in %d places a record cannot be read and no smaller question can be asked; rows beside it may be missing", s.Unread)
	if settled {
		return doubts
	}
	before := len(doubts)
	add(DoubtPlace, s.Torn, "in %d places nothing of what had been read just before was found any more, in look %d", s.Torn, at.Look+1)
	add(DoubtLate, s.Late, "look %d still found %d rows that the ones before had missed", at.Look+1, s.Late)
	if len(doubts) == before && s.Inverted > 1 {
		add(DoubtRepeated, s.Inverted, "%d pairs of rows were met in the opposite order: the order of the list changes by itself", s.Inverted)
	}
	if len(doubts) == before {
		add(DoubtRepeated, s.Displaced, "%d rows stood further on in the list than where they had been read, and %d looks have found only %d that could have moved them there", s.Displaced, at.Look+1, s.Found+s.Returned)
	}
	if len(doubts) == before {
		add(DoubtRepeated, 1, "the list is too long to be looked at again")
	}
	return doubts
}
