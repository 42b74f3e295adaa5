package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/console"
)

// ofRelay is what commands print of a relay with something of everything. Each field that
// others fill is hostile.
func ofRelay() map[string]string {
	hostile, _ := json.Marshal(hostileValue)
	h := string(hostile)
	return map[string]string{
		"doctor": healthy["doctor"], "tokens": healthy["tokens"],
		"metrics": `{"rows":[{"at":"2026-11-22T00:00:00Z","webhooks":12,"runs":7,"lag":2.5,"waiting":1234,"dead":0}]}`,
		"pause":   `{"paused":{"relay":{"by":` + h + `,"reason":` + h + `,"since":"2026-11-22T00:00:00Z","until":"2026-11-22T08:00:00Z"}}}`,
		"dead --json": `{"dead_letters":[
			{"entry":{"user":"20450001","event":"change","at":"2026-11-22T00:00:00Z","class":"refused"},"says":` + h + `},
			{"entry":{"user":"20450002","event":"redrive","at":"2026-11-22T00:00:00Z","class":"refused"},"says":""},
			{"entry":{"user":"0","at":"0001-01-01T00:00:00Z","class":"malformed"},"says":""}]}`,
		"links list": `{"pairs":[{"user_id":"20450001","member":"900","how":"exact","at":"2026-11-22T00:00:00Z"},
			{"user_id":"20450002","member":` + h + `,"how":"folded","at":"2026-11-22T00:00:00Z"}],"token":"1-aa"}`,
		"links show": `{"user_id":"20450001","member":"900","how":"exact","unique_id":"u1","user":{"full_name":` + h + `},"wish":{"column01":"new"},"bearer":{"column01":` + h + `},"token":"t0"}`,
		"compare": `{"user_id":"20450001","member":"900","arrived":false,"now":{"entry":"would_update","says":"x"},"next":"hikyaku trigger user-changed --user 20450001 --stack shop","mapping":"abc","mode":"write",
			"fields":[{"field":"column01","source":"full_name","uses":["full_name"],"state":"sent","makes":` + h + `,"holds":"old","differs":true,"changes":true},
				{"field":"column02","source":"x","uses":[],"state":"unreadable","makes":null,"holds":null}],
			"supersaas":{"full_name":` + h + `,"email":"hana@example.com"},"yappli":{"column01":` + h + `}}`,
		"history":              `{"user_id":"20450001","events":[{"entry":{"at":"2026-11-22T00:00:00Z","cause":"change","outcome":"updated","fields":["column01"],"request":"r","mapping":"abc"},"says":"x"}],"dead_letters":[]}`,
		"users list supersaas": `{"records":[{"id":"20450001","record":{"full_name":` + h + `,"email":"hana@example.com","mobile":"090"}}]}`,
		"redrive":              `{"sent":1}`, "reconcile": `{"status":"dry_run","report":{"users":1234,"matched":1232,"named":[{"user_id":"20450002","reason":"unreadable","fields":["<b>"]}]},"differences":[{"user_id":"20450001","reason":"missing"}]}`, "resume": `{}`, "relay release": `{"was_stopped":true}`, "trigger": `{}`, "links approve": `{"decided":1}`, "links reject": `{"decided":1}`,
		"tail": `{"at":"2026-11-22T00:00:00Z","function":"relay","line":{"level":"WARN","message":` + h + `}}` + "\n" + `{"at":"2026-11-22T00:00:01Z","function":"relay","line":{"message":"x"}}`,
	}
}

// aRelay is a stack on which something of everything happens.
func aRelay() *fakeDev {
	at := time.Date(2026, 11, 22, 0, 30, 0, 0, time.UTC)
	steps := []console.Event{
		{ID: "1", At: at, Kind: console.Webhook, Way: "w1", Status: 202, Message: hostileValue},
		{ID: "2", At: at.Add(1500 * time.Millisecond), Kind: console.Handled, Way: "w1", User: "20450001", Outcome: "refused", Bad: true, Detail: map[string]string{"err": hostileValue}},
	}
	return &fakeDev{
		state:  console.State{Now: at.Add(time.Minute), Queue: console.Depth{Visible: 1200, InFlight: 34, Delayed: 5}, Dead: 3},
		series: []console.Sample{{At: at, Webhooks: 12, Jobs: 7, Lag: 1500 * time.Millisecond, Queue: 9}},
		events: []console.Event{{ID: "3", At: at.Add(2 * time.Second), Kind: console.Call, Provider: "yappli", Message: "PUT /api/ext/users/{id}", Status: 422}, steps[1], steps[0]},
		ways: map[string]console.Way{
			"w1": {ID: "w1", User: "20450001", Waiting: true, Next: at.Add(time.Hour), Steps: steps, Webhook: json.RawMessage(`{"event":"change","name":"</textarea><script>alert(1)</script>"}`)},
		},
	}
}

var relayPages = []string{"/relay", "/relay?only=bad", "/relay?provider=yappli", "/relay/ways/w1", "/relay/ways/gone", "/relay/people", "/relay/people/20450001", "/relay/pairs", "/relay/dead"}

var textKey = regexp.MustCompile(`>\s*[a-z]+\.[a-z]+(-[a-z]+)*\s*<`)

func TestRelay_ShowsEachPageInEachLanguage(t *testing.T) {
	s, b := open(t, ofRelay(), aRelay().on)
	b.enter(s)
	for _, path := range relayPages {
		for _, language := range console.Languages() {
			status, _, page := b.do(http.MethodGet, path, "", map[string]string{"Accept-Language": language})
			if status != http.StatusOK || strings.Contains(page, `class="card bad" role="alert"`) {
				t.Errorf("%s in %s answered %d: %s", path, language, status, page)
			}
			if strings.Contains(page, "<script>alert") || strings.Contains(page, "</textarea><script") {
				t.Errorf("%s shows a hostile value as it is", path)
			}
			if key := textKey.FindString(page); key != "" {
				t.Errorf("%s in %s shows the key of a text: %s", path, language, key)
			}
			if ids := twice(page); len(ids) > 0 {
				t.Errorf("%s has ids twice: %q", path, ids)
			}
		}
	}
}

var idOf = regexp.MustCompile(` id="([^"]*)"`)

// twice are the ids that more than one element has.
func twice(page string) (ids []string) {
	seen := map[string]bool{}
	for _, m := range idOf.FindAllStringSubmatch(page, -1) {
		if seen[m[1]] {
			ids = append(ids, m[1])
		}
		seen[m[1]] = true
	}
	return ids
}

func TestRelay_ShowsWhatMatters(t *testing.T) {
	dev := aRelay()
	s, b := open(t, ofRelay(), dev.on)
	b.enter(s)
	for path, want := range map[string][]string{
		"/relay":                  {"1,239", "12.0 webhooks/s", "1 s", "/relay/ways/w1", "2 × Yappli does not accept", "/relay/pairs", "2026-11-22 08:00:00"},
		"/relay?only=bad":         {"refused"},
		"/relay?provider=yappli":  {"PUT /api/ext/users/{id}", "422"},
		"/relay/ways/w1":          {`&#34;event&#34;: &#34;change&#34;`, "1 s", "2026-11-22 01:30:00", `name="by"`},
		"/relay/ways/gone":        {"No message of that id"},
		"/relay/people/20450001":  {"The member would be changed", "<del>old</del>", "hikyaku redrive --user 20450001", "changes next", "cannot be read: column02"},
		"/relay/pairs":            {`value="20450001 t0"`, "2 wait for a decision", "would be"},
		"/relay/dead":             {`value="20450002"`, `href="/mapping"`, "names nobody", "redrive --class refused"},
		"/relay/people/20450002x": {"ends with the number"},
	} {
		_, page := b.get(path)
		for _, text := range want {
			if path == "/relay/people/20450001" {
				text = strings.Replace(text, "cannot be read: column02", "stay as they are in Yappli: column02", 1)
			}
			if !strings.Contains(page, text) {
				t.Errorf("%s lacks %q: %s", path, text, page)
			}
		}
	}
	if _, page := b.get("/relay?only=bad"); strings.Contains(page, "202 ") {
		t.Error("what is well is shown among what needs a look")
	}
}

func TestRelay_DoesWhatAPersonAsksFor(t *testing.T) {
	dev := aRelay()
	var log commandLog
	s, b := open(t, ofRelay(), dev.on, log.on)
	b.enter(s)
	for _, c := range []struct {
		action string
		form   url.Values
		runs   []string
	}{
		{"trigger", url.Values{"event": {"user-changed"}, "user": {"20450001"}}, []string{"trigger user-changed --user 20450001 --json"}},
		{"trigger", url.Values{"event": {"user-changed"}, "user": {""}}, []string{"trigger user-changed --json"}},
		{"reconcile", nil, []string{"reconcile --json"}},
		{"release", nil, []string{"relay release --json"}},
		{"resume-relay", nil, []string{"resume relay --json"}},
		{"pause-relay", url.Values{"reason": {"members look wrong"}, "for": {"2h"}}, []string{"pause relay --reason members look wrong --for 2h --json"}},
		{"redrive", url.Values{"user": {"20450001", "20450002", "20450001"}}, []string{"redrive --user 20450001,20450002 --json"}},
		{"redrive-class", url.Values{"class": {"refused"}}, []string{"redrive --class refused --json"}},
		{"redrive-all", nil, []string{"redrive --json"}},
		{"approve", url.Values{"pair": {"20450001 t0", "20450002 t1", "20450003"}}, []string{"links approve --user 20450001 --token t0 --json", "links approve --user 20450002 --token t1 --json", "links approve --user 20450003 --json"}},
		{"reject", url.Values{"pair": {"20450001 t0"}}, []string{"links reject --user 20450001 --token t0 --json"}},
		{"approve-all", url.Values{"token": {"1-aa"}}, []string{"links approve --all --token 1-aa --json"}},
		{"find-people", url.Values{"words": {" hana "}}, []string{"users list supersaas --search hana --limit 50 --json"}},
		{"not-arrived", nil, []string{"reconcile --dry-run --json"}},
		{"show-sides", url.Values{"of": {"20450001"}, "user": {"20450002"}}, []string{"compare --user 20450001 --letters=false --json"}},
	} {
		status, _, answer := b.do(http.MethodPost, "/do/"+c.action, c.form.Encode(), nil)
		if status != http.StatusOK || strings.Contains(answer, `role="alert"`) || strings.Contains(answer, "<script>alert") {
			t.Errorf("%s answered %d: %s", c.action, status, answer)
		}
		for _, line := range c.runs {
			log.has(t, line)
		}
		_, _, shown := b.do(http.MethodPost, "/command/"+c.action, c.form.Encode(), nil)
		if n := strings.Count(shown, "data-copy="); n != 1 || strings.Count(shown, " &amp;&amp; ") != 2*(len(c.runs)-1) {
			t.Errorf("%s is copied as %s", c.action, shown)
		}
	}
	if done := dev.did(); len(done) != 0 {
		t.Errorf("commands did %q beside what they do", done)
	}
}

func TestRelay_RefusesWhatIsNoAnswer(t *testing.T) {
	var log commandLog
	s, b := open(t, ofRelay(), aRelay().on, log.on)
	b.enter(s)
	for action, form := range map[string]url.Values{
		"trigger": {"event": {"reboot"}}, "redrive": {"user": {"1; rm"}}, "redrive-class": {"class": {"a b"}}, "approve": {}, "reject": {"pair": {"x t"}},
		"pause-relay": {"reason": {" "}, "for": {"1h"}}, "find-people": {"words": {" "}}, "show-sides": {"of": {"-1"}}, "approve-all": {},
		"repeat": {"way": {"../x"}}, "repeat-edited": {"way": {"w1"}, "body": {"{"}}, "delay": {"way": {"w1"}, "by": {"-5m"}}, "mapping-load": {"digest": {"--help"}},
	} {
		if _, _, answer := b.do(http.MethodPost, "/do/"+action, form.Encode(), nil); !strings.Contains(answer, `role="alert"`) || strings.Contains(answer, "fault.") {
			t.Errorf("%s with %v answered %s", action, form, answer)
		}
	}
	for _, begin := range []string{"trigger", "redrive", "links", "pause", "users", "compare", "mapping"} {
		log.lacks(t, begin)
	}
}

func TestWay_IsChangedOnADevelopmentStack(t *testing.T) {
	dev := aRelay()
	s, b := open(t, ofRelay(), dev.on)
	b.enter(s)
	for _, c := range []struct {
		action string
		form   url.Values
		does   string
	}{
		{"repeat", url.Values{"way": {"w1"}}, "repeat w1 "},
		{"repeat-edited", url.Values{"way": {"w1"}, "body": {` {"event":"new"} `}}, `repeat w1 {"event":"new"}`},
		{"delay", url.Values{"way": {"w1"}, "by": {"90s"}}, "delay w1 1m30s"},
		{"duplicate", url.Values{"way": {"w1"}}, "duplicate w1"},
		{"drop", url.Values{"way": {"w1"}}, "drop w1"},
	} {
		_, _, answer := b.do(http.MethodPost, "/do/"+c.action, c.form.Encode(), nil)
		if done := strings.Join(dev.did(), "|"); done != c.does || strings.Contains(answer, `role="alert"`) {
			t.Errorf("%s did %q and answered %s", c.action, done, answer)
		}
		if strings.HasPrefix(c.action, "repeat") && !strings.Contains(answer, `href="/relay/ways/repeated"`) {
			t.Errorf("%s does not lead to the new one: %s", c.action, answer)
		}
		dev.refuses = errors.New("it is <gone>")
		if _, _, answer := b.do(http.MethodPost, "/do/"+c.action, c.form.Encode(), nil); !strings.Contains(answer, "it is &lt;gone&gt;") {
			t.Errorf("%s, refused, answered %s", c.action, answer)
		}
		dev.refuses = nil
	}
}

// On a deployed stack each part says where it comes from, and nothing changes unless the
// console may write.
func TestRelay_OnADeployedStack(t *testing.T) {
	var log commandLog
	s, b := open(t, ofRelay(), log.on)
	b.enter(s)
	for path, want := range map[string][]string{
		"/relay": {"hikyaku tail --function webhookrelayrelay", "hikyaku dead", "hikyaku links list", "hikyaku metrics --last 3h", "1,234"}, "/relay/ways/w1": {"hikyaku tail --function webhookrelayrelay"},
		"/relay/people/20450001": {"hikyaku tail --function webhookrelayrelay", "hikyaku history --user 20450001"}, "/relay/dead": {"hikyaku dead"},
	} {
		_, page := b.get(path)
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s lacks %q", path, text)
			}
		}
		for _, action := range []string{"trigger", "repeat", "redrive", "approve", "resume-relay", "drop"} {
			if strings.Contains(page, `hx-post="/do/`+action+`"`) && action != "redrive" && action != "approve" {
				t.Errorf("%s offers %s", path, action)
			}
		}
	}
	for action, form := range map[string]url.Values{
		"redrive": {"user": {"20450001"}}, "reconcile": {}, "approve": {"pair": {"20450001 t0"}}, "resume-relay": {}, "repeat": {"way": {"w1"}}, "drop": {"way": {"w1"}},
	} {
		if _, _, answer := b.do(http.MethodPost, "/do/"+action, form.Encode(), nil); !strings.Contains(answer, `role="alert"`) {
			t.Errorf("%s answered %s", action, answer)
		}
	}
	for _, begin := range []string{"redrive", "reconcile", "links approve", "resume"} {
		log.lacks(t, begin)
	}
	if _, _, answer := b.do(http.MethodPost, "/do/tail-relay", "", nil); !strings.Contains(answer, "alert(1)") || strings.Contains(answer, "<script>") {
		t.Errorf("the log is shown as %s", answer)
	}
}

// What Yappli held before is shown beside what it holds, once that has changed.
func TestPerson_ShowsWhatWasThereBefore(t *testing.T) {
	printed := ofRelay()
	dev := aRelay()
	s, b := open(t, printed, dev.on, func(o *console.Options) { o.Fresh = time.Nanosecond })
	b.enter(s)
	if _, page := b.get("/relay/people/20450001"); strings.Contains(page, "before:") {
		t.Error("something is said to have changed before it did")
	}
	printed["compare"] = strings.Replace(printed["compare"], `"holds":"old","differs":true,"changes":true`, `"holds":"newer","differs":false`, 1)
	dev.events = append([]console.Event{{ID: "9", Kind: console.Handled, User: "20450001", Outcome: "updated"}}, dev.events...)
	if _, page := b.get("/relay/people/20450001"); !strings.Contains(page, "newer") || !strings.Contains(page, "before: <del>old</del>") {
		t.Errorf("what was there before is not shown: %s", page)
	}
}

// What doctor names as the next step is one click away, where a page is about it.
func TestOverview_LeadsToThePageOfTheNextStep(t *testing.T) {
	printed := ofRelay()
	printed["doctor"] = `{"findings":[{"id":"pairs.waiting","severity":"Warning","message":"m","next":"hikyaku links list --stack shop"},
		{"id":"dead.letters","severity":"High","message":"m","next":"hikyaku redrive --user 20450001"},{"id":"stack.odd","severity":"Note","message":"m","next":"aws cloudformation"},
		{"id":"relay.person","severity":"Note","message":"m","next":"hikyaku history --user 20450001"}]}`
	s, b := open(t, printed)
	b.enter(s)
	_, page := b.get("/")
	for _, want := range []string{`href="/relay/pairs">Go there`, `href="/relay/dead">Go there`, `href="/relay/people/20450001">Go there`} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview lacks %s", want)
		}
	}
	if n := strings.Count(page, "Go there"); n != 4 { // the gravest of the relay stands twice
		t.Errorf("the overview leads to %d pages", n)
	}
}

// A queue is asked for a second: the page does not wait for it, and shows the letters once
// they are there.
func TestDead_DoesNotWaitForTheQueue(t *testing.T) {
	goOn := make(chan struct{})
	s, b := open(t, ofRelay(), aRelay().on, func(o *console.Options) {
		run := o.Run
		o.Run = func(ctx context.Context, stdin []byte, args ...string) (json.RawMessage, error) {
			if args[0] == "dead" {
				<-goOn
			}
			return run(ctx, stdin, args...)
		}
	})
	b.enter(s)
	if _, page := b.get("/relay/dead"); !strings.Contains(page, "They are being read") || !strings.Contains(page, `<span class="badge bad">3</span>`) {
		t.Errorf("while the queue is asked the page is %s", page)
	}
	if _, page := b.get("/relay/people/20450001"); !strings.Contains(page, "The member would be changed") {
		t.Error("a person's page waits for the queue")
	}
	close(goOn)
	letters := ""
	for range 200 { // until the tabs are told
		if _, _, update := b.do(http.MethodGet, "/stream/relay/dead", "", map[string]string{"Hikyaku-Once": "true"}); strings.Contains(update, "20450002") {
			letters = update
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if letters == "" {
		t.Error("the letters are not shown once they are there")
	}
	_, page := b.get("/relay/people/20450001")
	if !strings.Contains(page, "A message of this person was given up") || !strings.Contains(page, "hikyaku redrive --user 20450001") {
		t.Errorf("a person's page does not offer to send the letter again: %s", page)
	}
}

// Each command that helps somebody is one button, one link, or can be copied.
func TestPerson_OffersWhatHelps(t *testing.T) {
	for next, want := range map[string]string{
		"hikyaku trigger user-changed --user 20450001 --dev": `hx-post="/do/trigger"`,
		"hikyaku reconcile --dev":                            `hx-post="/do/reconcile"`,
		"hikyaku resume relay":                               `hx-post="/do/resume-relay"`,
		"hikyaku relay release":                              `hx-post="/do/release"`,
		"hikyaku links approve --user 20450001":              `hx-post="/do/approve"`,
		"hikyaku links show --user 20450001":                 `value="20450001 t0"`,
		"hikyaku mapping show":                               `class="button main" href="/mapping"`,
		"hikyaku tokens":                                     `class="button main" href="/tokens"`,
		"hikyaku users get supersaas 20450001":               `class="button main" href="/sandboxes/supersaas/users/20450001"`,
		"hikyaku mapping check FILE --user 20450001 --write": `<code>hikyaku mapping check FILE --user 20450001 --write</code>`,
		"hikyaku history --user 20450001":                    `<code>hikyaku history --user 20450001</code>`,
	} {
		printed, dev := ofRelay(), aRelay()
		printed["compare"] = strings.Replace(printed["compare"], "hikyaku trigger user-changed --user 20450001 --stack shop", next, 1)
		if strings.Contains(next, "show --user") {
			printed["compare"] = strings.Replace(printed["compare"], "would_update", "awaiting_approval", 1)
		}
		dev.state.Dead = 0
		s, b := open(t, printed, dev.on)
		b.enter(s)
		_, page := b.get("/relay/people/20450001")
		_, standing, _ := strings.Cut(page, `id="person-standing"`)
		standing, _, _ = strings.Cut(standing, "</section>")
		if !strings.Contains(standing, want) {
			t.Errorf("%s: the page offers %s", next, standing)
		}
		if n := strings.Count(standing, `class="main"`) + strings.Count(standing, "button main"); n > 1 {
			t.Errorf("%s: %d buttons are offered first", next, n)
		}
	}
}

// A message's way shows both sides of the person, with what a change has replaced that was
// made by the form of her record.
func TestWay_ShowsBothSides(t *testing.T) {
	printed, dev := ofRelay(), aRelay()
	watch, _ := watched()
	dev.editors = watch.editors
	after := strings.Replace(printed["compare"], `"holds":"old","differs":true,"changes":true`, `"holds":"newer","differs":false`, 1)
	var changed atomic.Bool
	asked := make(chan struct{}, 10)
	s, b := open(t, printed, dev.on, func(o *console.Options) {
		run := o.Run
		o.Fresh = time.Nanosecond
		o.Run = func(ctx context.Context, stdin []byte, args ...string) (json.RawMessage, error) {
			if args[0] == "compare" {
				defer func() { asked <- struct{}{} }()
				if changed.Load() {
					return json.RawMessage(after), nil
				}
			}
			return run(ctx, stdin, args...)
		}
	})
	b.enter(s)
	b.get("/sandboxes/supersaas/users/20450001") // does not wait for what is remembered
	<-asked
	time.Sleep(20 * time.Millisecond)
	changed.Store(true)
	dev.events = append([]console.Event{{ID: "9", Kind: console.Handled, User: "20450001", Outcome: "updated"}}, dev.events...)
	if _, page := b.get("/relay/ways/w1"); !strings.Contains(page, "newer") || !strings.Contains(page, "before: <del>old</del>") {
		t.Errorf("the way does not show both sides, and what was there before: %s", page)
	}
}

// On a deployed stack that may be changed each action asks why, and each command that it
// runs is noted with that.
func TestRelay_NotesWhyADeployedStackIsChanged(t *testing.T) {
	printed := ofMapping()
	var noted []string
	s, b := open(t, printed, func(o *console.Options) {
		o.Write = true
		o.Audit = func(_ context.Context, command []string, why string) (func(error) error, error) {
			if why == "" {
				return nil, errors.New("say why")
			}
			noted = append(noted, strings.Join(command, " ")+": "+why)
			return func(error) error { return nil }, nil
		}
	})
	b.enter(s)
	for path, forms := range map[string]int{"/relay": 5, "/relay/dead": 3, "/relay/pairs": 2} {
		if _, page := b.get(path); strings.Count(page, `name="why" required`) != forms {
			t.Errorf("%s asks %d times why", path, strings.Count(page, `name="why" required`))
		}
	}
	for action, form := range map[string]url.Values{
		"approve": {"pair": {"20450001 t0", "20450002 t1"}, "why": {"seen"}}, "mapping-put": {"mapping": {"x: y"}, "reason": {"new card"}},
		"mapping-undo": {"why": {"wrong"}}, "redrive": {"user": {"20450001"}, "why": {"mended"}},
	} {
		if _, _, answer := b.do(http.MethodPost, "/do/"+action, form.Encode(), nil); strings.Contains(answer, `role="alert"`) {
			t.Errorf("%s answered %s", action, answer)
		}
	}
	slices.Sort(noted)
	want := []string{
		"links approve --user 20450001 --token t0: seen", "links approve --user 20450002 --token t1: seen", "mapping put - --yes --reason new card: new card",
		"mapping undo --yes --reason wrong: wrong", "redrive --user 20450001: mended",
	}
	if !slices.Equal(noted, want) {
		t.Errorf("noted was %q", noted)
	}
	if _, _, answer := b.do(http.MethodPost, "/do/redrive-all", "", nil); !strings.Contains(answer, "say why") {
		t.Errorf("without a reason it answered %s", answer)
	}
}

// Letters that somebody else was reading are shown as soon as they can be read.
func TestDead_ReadsAgainWhatWasHidden(t *testing.T) {
	printed := ofRelay()
	all := printed["dead --json"]
	var now, reads atomic.Int64
	s, b := open(t, printed, aRelay().on, func(o *console.Options) {
		run := o.Run
		o.Now = func() time.Time { return time.Unix(now.Load(), 0) }
		o.Run = func(ctx context.Context, stdin []byte, args ...string) (json.RawMessage, error) {
			switch {
			case args[0] != "dead":
				return run(ctx, stdin, args...)
			case reads.Add(1) == 1:
				return json.RawMessage(`{"dead_letters":[]}`), nil
			}
			return json.RawMessage(all), nil
		}
	})
	b.enter(s)
	if _, page := b.get("/relay/dead"); !strings.Contains(page, "Others are hidden") {
		t.Errorf("the page does not say that letters are hidden: %s", page)
	}
	now.Add(4)
	if _, page := b.get("/relay/dead"); !strings.Contains(page, "20450002") {
		t.Errorf("the letters are not read again: %s", page)
	}
	now.Add(20)
	b.get("/relay/dead")
	if n := reads.Load(); n != 2 {
		t.Errorf("the queue was asked %d times for what has not changed", n)
	}
}

func TestPeople_NamesWhoHasNotArrived(t *testing.T) {
	s, b := open(t, ofRelay(), aRelay().on)
	b.enter(s)
	_, _, answer := b.do(http.MethodPost, "/do/not-arrived", "", nil)
	for _, want := range []string{"1,234", `href="/relay/people/20450001"`, "No member of the user is in the list", `href="/relay/people/20450002"`, "&lt;b&gt;"} {
		if !strings.Contains(answer, want) {
			t.Errorf("the answer lacks %q: %s", want, answer)
		}
	}
}
