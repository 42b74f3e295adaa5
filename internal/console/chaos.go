package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// A chaos lets a person make trouble on a development stack, and counts what it does.
type chaos struct {
	*Server

	count *counting
}

// chaosPage shows the troubles that can be made, what waits and how it drains.
func (c chaos) chaosPage() page {
	p := page{Name: "chaos", Path: "/chaos", load: c.load}
	if c.options.Dev != nil {
		p.Main, p.Plots = true, true
		p.live = []string{"chaos-count", "chaos-on", "chaos-switches", "chaos-functions", "chaos-speed", "chaos-flow"}
	}
	return p
}

// usualTroubles have a switch each for every provider; the others are chosen from a list.
func usualTroubles() []string {
	return []string{sandbox.Outage, sandbox.Refused, sandbox.Latency, sandbox.NoAccess, sandbox.Expiry, sandbox.Drift}
}

// A chaosData is what the page shows.
type chaosData struct {
	Count     counted
	On        []sandbox.Trouble
	Rows      []switchRow
	Groups    []troubleGroup
	All       []string // ids, once each
	Providers []string
	State     State
	Flow      []Sample
	Real      bool
	Why       string // outcome of the last job that did not go well, while messages wait
}

// A switchRow is a usual trouble with its switch at each provider.
type switchRow struct {
	ID       string
	Switches []troubleSwitch
}

// A troubleSwitch is a trouble of a provider, or the place of one that it cannot have.
type troubleSwitch struct {
	sandbox.Trouble

	None bool
}

// A troubleGroup is what can happen to one provider, or to the stack itself.
type troubleGroup struct {
	Provider string
	Troubles []sandbox.Trouble
}

func (c chaos) load(context.Context, *http.Request) (any, error) {
	dev := c.options.Dev
	if dev == nil {
		return nil, nil // the page says so
	}
	d := chaosData{State: dev.State(), Providers: providers.Names(), Flow: lately(dev.Series())}
	d.Count, d.Real = c.count.now(d.State), len(d.State.Real) > 0
	if last := dev.Events(Filter{Kinds: []Kind{Handled}, Limit: 1}); d.Count.Waiting > 0 && len(last) > 0 && last[0].Bad {
		d.Why = last[0].Outcome
	}
	all := dev.Troubles()
	for _, t := range all {
		if t.On {
			d.On = append(d.On, t)
		}
		if !slices.Contains(d.All, t.ID) {
			d.All = append(d.All, t.ID)
		}
		i := slices.IndexFunc(d.Groups, func(g troubleGroup) bool { return g.Provider == t.Provider })
		if i < 0 {
			i = len(d.Groups)
			d.Groups = append(d.Groups, troubleGroup{Provider: t.Provider})
		}
		d.Groups[i].Troubles = append(d.Groups[i].Troubles, t)
	}
	for _, id := range usualTroubles() {
		row := switchRow{ID: id}
		for _, provider := range d.Providers {
			i := slices.IndexFunc(all, func(t sandbox.Trouble) bool { return t.ID == id && t.Provider == provider })
			if i < 0 {
				row.Switches = append(row.Switches, troubleSwitch{None: true})
				continue
			}
			row.Switches = append(row.Switches, troubleSwitch{Trouble: all[i]})
		}
		d.Rows = append(d.Rows, row)
	}
	return d, nil
}

// A counting counts messages from a moment on. It is safe for concurrent use.
type counting struct {
	mu     sync.Mutex
	begun  time.Time
	tally  Tally
	waited int
	lost   int // by the last look
}

// A counted is what has become of the messages since then.
type counted struct {
	Since                                                           time.Time
	Webhooks, Waited, Queued, Handled, Waiting, Died, Dropped, Lost int
}

// Drained reports whether there was something, and nothing of it waits.
func (c counted) Drained() bool { return c.Queued+c.Waited > 0 && c.Waiting == 0 }

// begin counts from now on.
func (c *counting) begin(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mark(s)
}

func (c *counting) mark(s State) {
	c.begun, c.tally, c.waited, c.lost = s.Now, s.Tally, s.Tally.Began+s.Tally.Queued-s.Tally.Gone, 0
}

// now counts. The queue and the tally are read one after the other, so that a message
// between them seems lost or doubled for one look: what two looks say counts.
func (c *counting) now(s State) counted {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun.IsZero() || s.Tally.Queued < c.tally.Queued {
		c.mark(s)
	}
	t, was := s.Tally, c.tally
	n := counted{
		Since: c.begun, Webhooks: t.Webhooks - was.Webhooks, Waited: c.waited, Queued: t.Queued - was.Queued,
		Waiting: s.Queue.Visible + s.Queue.InFlight + s.Queue.Delayed, Died: t.Died - was.Died, Dropped: t.Dropped - was.Dropped,
	}
	expired := t.Expired - was.Expired
	n.Handled = t.Gone - was.Gone - n.Died - n.Dropped - expired
	lost := max(0, n.Waited+n.Queued-(t.Gone-was.Gone)-n.Waiting)
	n.Lost = expired + min(lost, c.lost)
	c.lost = lost
	return n
}

// actions are what a person can do: none of it is a command.
func (c chaos) actions() []action {
	return []action{
		{name: "trouble-on", do: c.switchOn},
		{name: "trouble-off", do: func(_ context.Context, f url.Values) (any, error) { return nil, c.set(f.Get("trouble"), false, 0) }},
		{name: "troubles-off", do: c.allOff},
		{name: "chaos-change", do: c.changeCustomers},
		{name: "chaos-kill", do: func(_ context.Context, f url.Values) (any, error) {
			return nil, c.onDev(func(dev Dev) error { return dev.Kill(f.Get("function")) })
		}},
		{name: "chaos-speed", do: func(_ context.Context, f url.Values) (any, error) {
			factor, err := strconv.ParseFloat(strings.TrimSpace(f.Get("factor")), 64)
			if err != nil {
				return nil, saying("fault.no-number")
			}
			return nil, c.onDev(func(dev Dev) error { return dev.SetSpeed(factor) })
		}},
		{name: "chaos-count", do: func(context.Context, url.Values) (any, error) {
			return nil, c.onDev(func(dev Dev) error { c.count.begin(dev.State()); return nil })
		}},
	}
}

// onDev does what only a development stack can.
func (c chaos) onDev(do func(Dev) error) error {
	if c.options.Dev == nil {
		return saying("fault.dev-only")
	}
	return do(c.options.Dev)
}

// switchOn makes a trouble. The first one begins the count.
func (c chaos) switchOn(_ context.Context, f url.Values) (any, error) {
	amount := 0.0
	if text := strings.TrimSpace(f.Get("amount")); text != "" {
		var err error
		if amount, err = strconv.ParseFloat(text, 64); err != nil {
			return nil, saying("fault.no-number")
		}
	}
	return nil, c.onDev(func(dev Dev) error {
		if !slices.ContainsFunc(dev.Troubles(), func(t sandbox.Trouble) bool { return t.On }) {
			c.count.begin(dev.State())
		}
		return c.set(f.Get("trouble"), true, amount)
	})
}

const (
	customersChanged = 50   // by one click
	changedMark      = " *" // stands behind the name of a customer who was changed an odd number of times
)

// changeCustomers changes customers by hand, so that there is something to relay.
func (c chaos) changeCustomers(context.Context, url.Values) (any, error) {
	return nil, c.onDev(func(dev Dev) error {
		editor := dev.Editor(providers.SuperSaaS)
		if editor == nil || len(dev.State().Real) > 0 { // invented changes reach no real account
			return saying("fault.real")
		}
		rows, _, err := editor.List("users", sandbox.RecordQuery{Length: customersChanged})
		if err != nil {
			return err
		}
		for _, row := range rows {
			name, marked := strings.CutSuffix(row.Fields["full_name"], changedMark)
			if !marked {
				name += changedMark
			}
			if _, err := editor.Save("users", row.ID, map[string]string{"full_name": name}); err != nil {
				return err
			}
		}
		return nil
	})
}

// set switches the trouble of a name such as "yappli outage", or " killed" of the stack
// itself. Without an amount it has its own.
func (c chaos) set(name string, on bool, amount float64) error {
	return c.onDev(func(dev Dev) error {
		provider, id, _ := strings.Cut(name, " ")
		all := dev.Troubles()
		i := slices.IndexFunc(all, func(t sandbox.Trouble) bool { return t.ID == id && t.Provider == provider })
		if i < 0 {
			return saying("fault.no-trouble")
		}
		if amount == 0 {
			amount = all[i].Amount
		}
		return dev.SetTrouble(provider, id, on, amount)
	})
}

func (c chaos) allOff(context.Context, url.Values) (any, error) {
	return nil, c.onDev(func(dev Dev) error {
		var faults []error
		for _, t := range dev.Troubles() {
			if t.On {
				faults = append(faults, dev.SetTrouble(t.Provider, t.ID, false, t.Amount))
			}
		}
		return errors.Join(faults...)
	})
}
