package console_test

import (
	"html"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/console"
	"hikyaku/pkg/providers/sandbox"
)

func troubled() *fakeDev {
	return &fakeDev{
		state: console.State{
			Now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), Speed: 60, Queue: console.Depth{Visible: 3},
			Functions: []console.Function{{Name: "webhookrelayrelay", Processes: 2, Kills: 1}}, Tally: console.Tally{Began: 1, Webhooks: 10, Queued: 12, Gone: 10},
		},
		troubles: []sandbox.Trouble{
			{ID: "killed", Amount: 0.1}, {ID: "outage", Provider: "yappli"}, {ID: "latency", Provider: "yappli", Amount: 2, On: true, Met: 41}, {ID: "lie-<b>", Provider: "shopline", Amount: 0.5},
		},
		series: []console.Sample{{At: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), Webhooks: 5, Queue: 3}},
	}
}

func TestChaos_ShowsWhatIsWrongAndWhatWaits(t *testing.T) {
	s, b := open(t, healthy, troubled().on)
	b.enter(s)
	for _, language := range console.Languages() {
		status, _, page := b.do(http.MethodGet, "/chaos", "", map[string]string{"Accept-Language": language})
		if status != http.StatusOK || strings.Contains(page, "<b>") {
			t.Errorf("in %s answered %d: %s", language, status, page)
		}
		for _, want := range []string{`id="switch-yappli-outage" class="small" aria-pressed="false"`, `id="switch-yappli-latency" class="small" aria-pressed="true"`, "41", `id="kill-webhookrelayrelay"`, "lie-&lt;b&gt;", "plot-throughput"} {
			if !strings.Contains(page, want) {
				t.Errorf("in %s lacks %q", language, want)
			}
		}
	}
}

func TestChaos_DoesWhatIsAskedFor(t *testing.T) {
	dev := troubled()
	s, b := open(t, healthy, dev.on)
	b.enter(s)
	for _, c := range []struct{ action, form, want string }{
		{"trouble-on", "trouble=yappli+outage", "trouble yappli outage true 0"},
		{"trouble-on", "trouble=shopline+lie-<b>&amount=0.25", "trouble shopline lie-<b> true 0.25"},
		{"trouble-on", "trouble=+killed", "trouble  killed true 0.1"},
		{"trouble-off", "trouble=yappli+latency", "trouble yappli latency false 2"},
		{"troubles-off", "", "trouble yappli latency false 2"},
		{"chaos-kill", "function=webhookrelayrelay", "kill webhookrelayrelay"},
		{"chaos-speed", "factor=60", "speed 60"},
		{"trouble-on", "trouble=nobody+outage", ""},
		{"trouble-on", "trouble=yappli+outage&amount=much", ""},
		{"chaos-speed", "factor=fast", ""},
	} {
		_, _, body := b.do(http.MethodPost, "/do/"+c.action, c.form, nil)
		done := dev.did()
		if c.want == "" && (len(done) > 0 || !strings.Contains(body, `role="alert"`)) || c.want != "" && !slices.Equal(done, []string{c.want}) {
			t.Errorf("%s %s did %q and answered %s", c.action, c.form, done, body)
		}
	}
	if status, _, _ := b.do(http.MethodPost, "/command/trouble-on", "trouble=yappli+outage", nil); status != http.StatusNotFound {
		t.Errorf("the command of a switch is answered %d", status)
	}
}

func TestChaos_ChangesCustomersAndBack(t *testing.T) {
	dev, users := watched()
	s, b := open(t, healthy, dev.on)
	b.enter(s)
	users.rows[0].Fields["full_name"] = "Hana"
	for _, want := range []string{"Hana *", "Hana"} {
		b.do(http.MethodPost, "/do/chaos-change", "", nil)
		if got := users.rows[0].Fields["full_name"]; got != want {
			t.Errorf("the customer is called %q, want %q", got, want)
		}
	}
}

// The numbers of both sides of the sum are counted apart from each other, so that a
// message that vanishes shows.
func TestChaos_CountsWhatIsLost(t *testing.T) {
	dev := troubled()
	dev.troubles[2].On = false
	s, b := open(t, healthy, dev.on)
	b.enter(s)
	sum := func() string {
		t.Helper()
		_, page := b.get("/chaos")
		_, after, _ := strings.Cut(page, "<code>")
		text, _, _ := strings.Cut(after, "</code>")
		return html.UnescapeString(text)
	}
	b.do(http.MethodPost, "/do/trouble-on", "trouble=yappli+outage", nil)
	for _, c := range []struct {
		tally   console.Tally
		visible int
		want    string
	}{
		{console.Tally{Began: 1, Webhooks: 30, Queued: 32, Gone: 10}, 23, "3 + 20 = 0 + 23 + 0 + 0 + 0"},
		{console.Tally{Began: 1, Webhooks: 30, Queued: 32, Gone: 31, Died: 2, Dropped: 1}, 2, "3 + 20 = 18 + 2 + 2 + 1 + 0"},
		{console.Tally{Began: 1, Webhooks: 30, Queued: 32, Gone: 31}, 1, "3 + 20 = 21 + 1 + 0 + 0 + 0"}, // one look alone
		{console.Tally{Began: 1, Webhooks: 30, Queued: 32, Gone: 31}, 1, "3 + 20 = 21 + 1 + 0 + 0 + 1"},
		{console.Tally{Began: 1, Webhooks: 30, Queued: 32, Gone: 32, Expired: 1}, 1, "3 + 20 = 21 + 1 + 0 + 0 + 1"},
	} {
		dev.state.Tally, dev.state.Queue.Visible = c.tally, c.visible
		if got := sum(); got != c.want {
			t.Errorf("of %+v the sum is %s, want %s", c.tally, got, c.want)
		}
	}
}

func TestChaos_IsOfADevelopmentStackAlone(t *testing.T) {
	s, b := open(t, healthy, func(o *console.Options) { o.Write = true })
	b.enter(s)
	if status, page := b.get("/chaos"); status != http.StatusOK || !strings.Contains(page, "hikyaku dev") || strings.Contains(page, `<li><a href="/chaos"`) {
		t.Errorf("a deployed stack has chaos: %d", status)
	}
	for _, action := range []string{"trouble-on", "trouble-off", "troubles-off", "chaos-kill", "chaos-count"} {
		if _, _, body := b.do(http.MethodPost, "/do/"+action, "trouble=yappli+outage&function=x", nil); !strings.Contains(body, "Only a stack that") {
			t.Errorf("%s there answered %s", action, body)
		}
	}
}
