package console_test

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/console"
	"hikyaku/pkg/providers/sandbox"
)

// A fakeEditor is a sandbox of one kind of record.
type fakeEditor struct {
	kind sandbox.RecordKind
	rows []sandbox.Row
}

func (e *fakeEditor) Kinds() []sandbox.RecordKind { return []sandbox.RecordKind{e.kind} }

func (e *fakeEditor) List(_ string, q sandbox.RecordQuery) ([]sandbox.Row, int, error) {
	var found []sandbox.Row
	for _, r := range e.rows {
		if strings.Contains(r.ID+" "+r.Fields["name"], q.Search) {
			found = append(found, r)
		}
	}
	from := min(q.Skip, len(found))
	return found[from:min(from+q.Length, len(found))], len(found), nil
}

func (e *fakeEditor) Save(_, id string, fields map[string]string) (string, error) {
	if fields["name"] == "refused" {
		return "", errors.New("name is <refused>")
	}
	i := slices.IndexFunc(e.rows, func(r sandbox.Row) bool { return r.ID == id })
	if i < 0 {
		e.rows = append(e.rows, sandbox.Row{ID: "made", Fields: map[string]string{}})
		i = len(e.rows) - 1
	}
	for name, value := range fields {
		e.rows[i].Fields[name] = value
	}
	return e.rows[i].ID, nil
}

func (e *fakeEditor) Delete(_, id string) error {
	e.rows = slices.DeleteFunc(e.rows, func(r sandbox.Row) bool { return r.ID == id })
	return nil
}

func newEditor(kind string, rows ...sandbox.Row) *fakeEditor {
	return &fakeEditor{rows: rows, kind: sandbox.RecordKind{Name: kind, Fields: []sandbox.RecordField{
		{Name: "name", Required: true}, {Name: "mobile", Label: "携帯"}, {Name: "role", Choices: []string{"a", "b"}},
		{Name: "password", Secret: true}, {Name: "created_on", ReadOnly: true},
	}}}
}

const hostileValue = `"><script>alert(1)</script>`

// watched is a stack on which a customer's change has arrived.
func watched() (*fakeDev, *fakeEditor) {
	users := newEditor("users", sandbox.Row{ID: "20450001", Fields: map[string]string{
		"name": hostileValue, "mobile": "090", "role": "b", "password": "hunter2", "created_on": "2026-11-01",
	}})
	begun := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	step := func(after time.Duration, kind console.Kind, outcome string) console.Event {
		return console.Event{ID: string(kind), At: begun.Add(after), Kind: kind, User: "20450001", Way: "w1", Outcome: outcome}
	}
	steps := []console.Event{
		step(0, console.Webhook, ""), step(20*time.Millisecond, console.Queued, ""),
		step(1500*time.Millisecond, console.Received, ""), step(2*time.Second, console.Handled, "updated"),
	}
	newest := slices.Clone(steps)
	slices.Reverse(newest)
	return &fakeDev{
		events: newest, ways: map[string]console.Way{"w1": {ID: "w1", User: "20450001", Ended: true, Steps: steps}},
		editors: map[string]sandbox.Editor{"supersaas": users, "yappli": newEditor("users", sandbox.Row{ID: "900", Fields: map[string]string{"name": "x"}})},
	}, users
}

var ofSandboxes = map[string]string{"doctor": healthy["doctor"], "tokens": healthy["tokens"], "compare": `{"member":"900","arrived":true}`}

func TestSandboxes_FollowAChangeToYappli(t *testing.T) {
	dev, _ := watched()
	s, b := open(t, ofSandboxes, dev.on)
	b.enter(s)
	if _, page := b.get("/"); !strings.Contains(page, `href="/sandboxes/supersaas/users/20450001"`) {
		t.Error("the overview does not lead to a customer")
	}
	for _, language := range console.Languages() {
		status, _, page := b.do(http.MethodGet, "/sandboxes/supersaas/users/20450001", "", map[string]string{"Accept-Language": language})
		if status != http.StatusOK || strings.Contains(page, "hunter2") || strings.Contains(page, "<script>alert") {
			t.Errorf("%s: answered %d: %s", language, status, page)
		}
		for _, want := range []string{"/sandboxes/yappli/users/900", "/relay/people/20450001", "/relay/ways/w1", `name="field.mobile" value="090"`, "<option selected>b"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %q", language, want)
			}
		}
	}
	_, _, page := b.do(http.MethodGet, "/sandboxes/supersaas/users/20450001", "", map[string]string{"Accept-Language": "en"})
	if !strings.Contains(page, "Arrived in Yappli after 2 s.") {
		t.Error("the page does not say that the change has arrived")
	}
	dev.ways["w1"] = console.Way{ID: "w1", Steps: dev.ways["w1"].Steps[:2]}
	if _, page := b.get("/sandboxes/supersaas/users/20450001"); strings.Contains(page, "Arrived") || !strings.Contains(page, "not yet") {
		t.Error("a change on its way has arrived")
	}
}

func TestSandboxes_ChangeWhatIsChangedInTheForm(t *testing.T) {
	dev, users := watched()
	s, b := open(t, ofSandboxes, dev.on)
	b.enter(s)
	form := url.Values{"provider": {"supersaas"}, "kind": {"users"}, "id": {"20450001"}, "field.name": {"Hana"}, "field.password": {""}, "field.created_on": {"never"}}
	post := func(action string) (int, http.Header, string) {
		t.Helper()
		return b.do(http.MethodPost, "/do/"+action, form.Encode(), nil)
	}
	if status, _, body := post("sandbox-save"); status != http.StatusOK || !strings.Contains(body, "Saved.") {
		t.Errorf("saving answered %d: %s", status, body)
	}
	if is := users.rows[0].Fields; is["name"] != "Hana" || is["password"] != "hunter2" || is["created_on"] != "2026-11-01" || is["mobile"] != "090" {
		t.Errorf("saved: %v", is)
	}
	if _, _, body := post("sandbox-save"); !strings.Contains(body, "No field was changed") {
		t.Errorf("saving what it holds answered %s", body)
	}
	form.Set("field.name", "refused")
	if _, _, body := post("sandbox-save"); !strings.Contains(body, "name is &lt;refused&gt;") {
		t.Errorf("what the provider refuses answered %s", body)
	}
	form.Set("id", "")
	form.Set("field.name", "Aki")
	if _, headers, _ := post("sandbox-save"); headers.Get("HX-Redirect") != "/sandboxes/supersaas/users/made" {
		t.Errorf("a new record leads to %q", headers.Get("HX-Redirect"))
	}
	form.Set("id", "made")
	if post("sandbox-delete"); len(users.rows) != 1 {
		t.Errorf("after deleting there are %d", len(users.rows))
	}
	for name, change := range map[string]string{"provider": "nobody", "kind": "nothing", "id": "gone"} {
		before := form.Get(name)
		form.Set(name, change)
		if _, _, body := post("sandbox-save"); !strings.Contains(body, "note bad") {
			t.Errorf("%s %s: %s", name, change, body)
		}
		form.Set(name, before)
	}
}

func TestSandboxes_ListAndFind(t *testing.T) {
	dev, users := watched()
	for i := range 120 {
		users.rows = append(users.rows, sandbox.Row{ID: "u" + strings.Repeat("x", i), Fields: map[string]string{"name": cmp.Or(map[int]string{7: "needle"}[i], "hay")}})
	}
	s, b := open(t, ofSandboxes, dev.on)
	b.enter(s)
	_, list := b.get("/sandboxes/supersaas")
	if !strings.Contains(list, "1–50 of 121") || strings.Contains(list, "<script>alert") || strings.Count(list, "<tr>") != 51 {
		t.Errorf("the list: %s", list)
	}
	find := func(search, skip string) string {
		_, _, body := b.do(http.MethodPost, "/do/sandbox-find", url.Values{"provider": {"supersaas"}, "kind": {"users"}, "search": {search}, "skip": {skip}}.Encode(), nil)
		return body
	}
	if found := find("needle", ""); strings.Count(found, "<tr>") != 2 || !strings.Contains(found, "1–1 of 1") {
		t.Errorf("found: %s", found)
	}
	if last := find("", "100"); !strings.Contains(last, "101–121 of 121") {
		t.Errorf("the last page: %s", last)
	}
	dev.state.Real, dev.editors["supersaas"] = []string{"supersaas"}, nil
	delete(dev.editors, "supersaas")
	if _, page := b.get("/sandboxes/supersaas"); !strings.Contains(page, "This provider is real") {
		t.Error("the page of a real provider does not say so")
	}
	if _, page := b.get("/sandboxes"); !strings.Contains(page, "real: change it on its own pages") {
		t.Error("the list of the sandboxes does not say that one is real")
	}
}

func TestSandboxes_AreOfADevelopmentStackAlone(t *testing.T) {
	s, b := open(t, ofSandboxes, func(o *console.Options) { o.Write = true })
	b.enter(s)
	if _, page := b.get("/sandboxes"); !strings.Contains(page, "hikyaku dev") || strings.Contains(page, `<li><a href="/sandboxes"`) {
		t.Error("a deployed stack has sandboxes")
	}
	if _, _, body := b.do(http.MethodPost, "/do/sandbox-save", "provider=supersaas&kind=users&id=1", nil); !strings.Contains(body, "Only a stack that") {
		t.Errorf("saving there answered %s", body)
	}
}
