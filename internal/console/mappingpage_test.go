package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"hikyaku/internal/console"
	"hikyaku/internal/webhookrelay/mapping"
)

// ofMapping is what commands print of a stack with two published mappings.
func ofMapping() map[string]string {
	printed := ofRelay()
	hostile, _ := json.Marshal(hostileValue)
	h := string(hostile)
	printed["mapping show"] = `{"digest":"3f0c5b1a9d22aa","published":true,"source":"column01: full_name # </textarea><script>alert(1)</script>\n"}`
	printed["mapping log"] = `{"entries":[{"digest":"00aa00aa00aa00","at":"2026-11-21T00:00:00Z","by":` + h + `,"why":` + h + `},{"digest":"3f0c5b1a9d22aa","at":"2026-11-22T00:00:00Z","by":"x","why":""}]}`
	printed["mapping try - --user"] = `{"digest":"d","faults":[{"line":3,"column":11,"key":"column02","text":` + h + `}],
		"users":[{"user_id":"20450001","outcome":"would_update","fields":[{"field":"column01","state":"sent","makes":"new","holds":` + h + `,"differs":true,"changes":true},{"field":"column02","state":"fault","makes":null,"holds":null}]}]}`
	printed["mapping try - --json"] = `{"digest":"d","faults":[],"users":[]}`
	printed["mapping try - --count"] = `{"digest":"d","faults":[],"users":[],"count":{"users":4000,"changed":312,"fields":{"column01":{"changed":312,"unreadable":0,"was_unreadable":0},"column03":{"changed":0,"unreadable":0,"was_unreadable":0}}}}`
	printed["mapping put"] = `{"digest":"d"}`
	printed["mapping undo"] = `{"digest":"3f0c5b1a9d22aa"}`
	printed["mapping schema"] = string(mapping.Schema())
	return printed
}

func TestMapping_ShowsTheOneThatCounts(t *testing.T) {
	s, b := open(t, ofMapping(), aRelay().on)
	b.enter(s)
	for _, language := range console.Languages() {
		status, headers, page := b.do(http.MethodGet, "/mapping", "", map[string]string{"Accept-Language": language})
		if status != http.StatusOK || strings.Contains(page, "<script>alert") || textKey.MatchString(page) || len(twice(page)) > 0 {
			t.Errorf("%s: answered %d, ids %q: %s", language, status, twice(page), page)
		}
		for _, want := range []string{"column01: full_name", "00aa00aa00aa", `name="user" value="20450001" checked`} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %q", language, want)
			}
		}
		policy := headers.Get("Content-Security-Policy")
		if !strings.Contains(policy, "nonce-") || !strings.Contains(page, "data-nonce=") {
			t.Error("the editor's style element has no nonce")
		}
	}
}

func TestMapping_IsTriedBeforeItCounts(t *testing.T) {
	var log commandLog
	s, b := open(t, ofMapping(), aRelay().on, log.on)
	b.enter(s)
	form := url.Values{"mapping": {"column01: full_name\r\ncolumn02: nosuch"}, "user": {"20450001", "20450001", "x", "2", "3", "4"}, "name-20450001": {"<i>Hana"}, "words": {"secret"}}
	const source = "column01: full_name\ncolumn02: nosuch\n"
	for action, c := range map[string]struct {
		line string
		want []string
	}{
		"mapping-try":   {"mapping try - --user 20450001,2,3 --compare --json", []string{`data-line="3"`, `data-column="11"`, "1 faults", "&lt;i&gt;Hana", "would be changed", "the line has a fault"}},
		"mapping-count": {"mapping try - --count --json", []string{"Would change 312 of 4,000", "column01"}},
		"mapping-put":   {"mapping put - --yes --json", []string{"The mapping counts", "&lt;&lt;&#39;END&#39;\ncolumn01: full_name"}},
	} {
		_, _, answer := b.do(http.MethodPost, "/do/"+action, form.Encode(), nil)
		if read := log.has(t, c.line); read != source {
			t.Errorf("%s gave the command %q to read", action, read)
		}
		for _, want := range c.want {
			if !strings.Contains(answer, want) {
				t.Errorf("%s answered without %q: %s", action, want, answer)
			}
		}
		if strings.Contains(answer, "<script>alert") || strings.Contains(answer, "column03") {
			t.Errorf("%s answered %s", action, answer)
		}
	}
	form["user"] = nil
	if _, _, answer := b.do(http.MethodPost, "/do/mapping-try", form.Encode(), nil); !strings.Contains(answer, "no fault") {
		t.Errorf("without people it answered %s", answer)
	}
	log.has(t, "mapping try - --json")
}

func TestMapping_IsTakenBackAndLoaded(t *testing.T) {
	var log commandLog
	s, b := open(t, ofMapping(), aRelay().on, log.on)
	b.enter(s)
	for action, c := range map[string]struct {
		form url.Values
		line string
	}{
		"mapping-undo": {url.Values{"reason": {"wrong column"}}, "mapping undo --yes --reason wrong column --json"},
		"mapping-load": {url.Values{"digest": {"00aa00aa00aa00"}}, "mapping show --at 00aa00aa00aa00 --json"},
	} {
		_, _, answer := b.do(http.MethodPost, "/do/"+action, c.form.Encode(), nil)
		if log.has(t, c.line); !strings.Contains(answer, "data-mapping-source") || !strings.Contains(answer, "column01: full_name") || strings.Contains(answer, "<script>alert") {
			t.Errorf("%s answered %s", action, answer)
		}
	}
	form := url.Values{"user": {"20450009"}, "name-20450009": {"Chosen"}, "words": {"hana"}}
	_, _, answer := b.do(http.MethodPost, "/do/mapping-people", form.Encode(), nil)
	log.has(t, "users list supersaas --limit 10 --search hana --json")
	if !strings.Contains(answer, `value="20450009" checked`) || !strings.Contains(answer, `value="20450001">`) {
		t.Errorf("choosing people answered %s", answer)
	}
}

func TestMapping_CompletesByTheSchema(t *testing.T) {
	s, b := open(t, ofMapping(), aRelay().on)
	b.enter(s)
	_, answer := b.get("/mapping/schema.json")
	var schema struct {
		Paths map[string][]struct{ Label, Apply string }
	}
	if err := json.Unmarshal([]byte(answer), &schema); err != nil {
		t.Fatal(err)
	}
	offers := func(path, label string) bool {
		for _, c := range schema.Paths[path] {
			if c.Label == label {
				return true
			}
		}
		return false
	}
	for path, label := range map[string]string{"": "column01", "options": "zone", "options.region.:": "JP", "*.:": "full_name", "link_if.:": "column01"} {
		if !offers(path, label) {
			t.Errorf("at %q it does not offer %s: %v", path, label, schema.Paths[path])
		}
	}
}
