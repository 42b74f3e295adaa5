package provetokens

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/prove"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// An edit is something that a person does to one field of a connection's document.
type edit struct {
	name string
	// on lists the fields that it can be done to; nil: any that the document has.
	on []string
	// change returns the field's new JSON; nil takes the field away.
	change func(value json.RawMessage) json.RawMessage
	// refused is set if 'connect' must name the field.
	refused bool
	// breaks is set if no request can be made of the document then. A person is told
	// at once; of what a provider alone can tell, only when it is asked.
	breaks bool
}

var (
	credentialFields = []string{"client_id", "api_key", "client_secrets"}
	addressFields    = []string{"base_url", "token_url", "login_url"}
)

// within applies a change to the texts of a value: one, or a list of them.
func within(change func(string) string) func(json.RawMessage) json.RawMessage {
	return func(value json.RawMessage) json.RawMessage {
		var one string
		var list []string
		switch {
		case json.Unmarshal(value, &one) == nil:
			return mustEncode(change(one))
		case json.Unmarshal(value, &list) == nil:
			for i := range list {
				list[i] = change(list[i])
			}
			return mustEncode(list)
		}
		return value
	}
}

func mustEncode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and lists of them
	}
	return b
}

func replaced(by string) func(json.RawMessage) json.RawMessage {
	return func(json.RawMessage) json.RawMessage { return json.RawMessage(by) }
}

func halved(with string) func(string) string {
	return func(s string) string { return s[:len(s)/2] + with + s[len(s)/2:] }
}

// edits are all that is done to documents. Those that are not refused leave a
// document with which everything works.
var edits = []edit{
	{name: "line break after", on: credentialFields, change: within(func(s string) string { return s + "\r\n" })},
	{name: "byte order mark before", on: credentialFields, change: within(func(s string) string { return "\ufeff" + s })},
	{name: "wide blanks around", on: append(addressFields, credentialFields...), change: within(func(s string) string { return "\u3000" + s + "\u3000\t" })},
	{name: "zero-width space after", on: append(addressFields, "account", "kind", "provider"), change: within(func(s string) string { return s + "\u200b" })},
	{name: "slash after", on: []string{"base_url"}, change: within(func(s string) string { return s + "/" })},
	{name: "no end", on: []string{"expires_at"}, change: replaced(`null`)},
	{name: "an end to come", on: []string{"expires_at"}, change: replaced(`"2999-12-31T23:59:59+09:00"`)},
	{name: "no quirks", on: []string{"quirks"}, change: replaced(`{}`)},

	{name: "line break within", on: credentialFields, change: within(halved("\n")), refused: true, breaks: true},
	{name: "NUL within", on: credentialFields, change: within(halved("\x00")), refused: true, breaks: true},
	{name: "blank within", on: credentialFields, change: within(halved(" ")), refused: true},
	{name: "wide blank within", on: credentialFields, change: within(halved("\u3000")), refused: true},
	{name: "curly quotes around", on: credentialFields, change: within(func(s string) string { return "“" + s + "”" }), refused: true},
	{name: "emptied", on: credentialFields, change: within(func(string) string { return "" }), refused: true, breaks: true},
	{name: "taken away", on: append([]string{"base_url", "kind"}, credentialFields...), change: replaced(``), refused: true, breaks: true},
	{name: "null", on: append([]string{"base_url", "kind"}, credentialFields...), change: replaced(`null`), refused: true, breaks: true},
	{name: "a number", change: replaced(`7`), refused: true, breaks: true},
	{name: "a list of lists", change: replaced(`[[]]`), refused: true, breaks: true},
	{name: "true", change: replaced(`true`), refused: true, breaks: true},
	{name: "another kind", on: []string{"kind"}, change: replaced(`"rotating"`), refused: true, breaks: true},
	{name: "another provider", on: []string{"provider"}, change: replaced(`"yapli"`), refused: true},
	{name: "no address", on: addressFields, change: replaced(`"the one of last year"`), refused: true, breaks: true},
	{name: "in clear", on: addressFields, change: within(func(s string) string { return strings.Replace(s, "https:", "http:", 1) }), refused: true},
	{name: "with a password", on: addressFields, change: within(func(s string) string { return strings.Replace(s, "//", "//shop:word@", 1) }), refused: true},
	{name: "with a query", on: addressFields, change: within(func(s string) string { return s + "?debug=1" }), refused: true},
	{name: "with a fragment", on: addressFields, change: within(func(s string) string { return s + "#top" }), refused: true},
	{name: "a bare date", on: []string{"expires_at"}, change: replaced(`"2999-12-31"`), refused: true, breaks: true},
	{name: "an end in the past", on: []string{"expires_at"}, change: replaced(`"1999-12-31T00:00:00Z"`), refused: true},
	{name: "unknown quirks", on: []string{"quirks"}, change: replaced(`{"tint":"red"}`), refused: true, breaks: true},
	{name: "unknown field", on: []string{"api_kee"}, change: replaced(`"x"`), refused: true},
	{name: "a value for a name", on: []string{"SK-live-0123"}, change: replaced(`"x"`), refused: true},
}

// A draft is a connection's document with edits, at most one a field.
type draft struct {
	fields map[string]json.RawMessage
	done   map[string]edit
	raw    []byte // of a document that is no object
	said   []string
}

// draw edits a working document as the numbers say.
func draw(document []byte, number func(below int) int) (draft, error) {
	d := draft{done: map[string]edit{}}
	if err := json.Unmarshal(document, &d.fields); err != nil {
		return d, err
	}
	for range 1 + number(3) {
		e := edits[number(len(edits))]
		on := e.on
		if on == nil {
			on = slices.Sorted(maps.Keys(d.fields))
		}
		field := on[number(len(on))]
		value, has := d.fields[field]
		if !has && slices.Contains(append([]string{"account"}, append(addressFields, credentialFields...)...), field) {
			continue // of another provider
		}
		if _, edited := d.done[field]; edited {
			continue
		}
		changed := e.change(value)
		if bytes.Equal(changed, value) {
			continue
		}
		if len(changed) == 0 {
			delete(d.fields, field)
		} else {
			d.fields[field] = changed
		}
		d.done[field] = e
		d.said = append(d.said, field+": "+e.name)
	}
	d.raw = mustEncode(d.fields)
	if number(12) == 0 {
		ways := map[string][]byte{
			"cut off": d.raw[:len(d.raw)*2/3], "not UTF-8": append([]byte("\xff\xfe"), d.raw...), "two documents": append(d.raw, d.raw...), "a list": []byte(`[` + string(d.raw) + `]`), "nothing": []byte("\n"),
		}
		way := slices.Sorted(maps.Keys(ways))[number(len(ways))]
		d.said, d.done, d.raw = []string{"the document: " + way}, map[string]edit{"": {refused: true, breaks: true}}, ways[way]
	}
	return d, nil
}

// ofProvider are the fields of which only the provider's package knows what is wrong.
var ofProvider = []string{"quirks", "client_id", "client_secrets", "api_key", "base_url", "token_url", "login_url", "account"}

// well are the outcomes of a credential that works.
var well = []protocol.Outcome{protocol.Fresh, protocol.Resting, protocol.Probed, protocol.Refreshed}

// shapes are the connections that are edited, each with the provider's name.
var shapes = []struct {
	name, provider string
	change         func(*rig, *providers.Connection)
}{
	{"yappli", providers.Yappli, nil}, {"actibook", providers.ActiBook, nil}, {"supersaas", providers.SuperSaaS, nil},
	{"shopline staff", providers.SHOPLINE, nil}, {"shopline app", providers.SHOPLINE, appWith(nil)}, {"assisttencho", providers.AssistTencho, nil},
}

// judgeConnection connects a shop, lets a person edit the document that works, and
// says what was not as it must be.
func judgeConnection(t *testing.T, shape int, number func(below int) int) (wrong []string, said string) {
	t.Helper()
	s := shapes[shape]
	inTrial(t, s.provider, s.change, func(x *trial) {
		t := x.t
		fault := func(format string, of ...any) { wrong = append(wrong, fmt.Sprintf(format, of...)) }
		x.tick()
		x.told()
		before, err := served(t, x.aws.Secrets, "shop", s.provider)
		if err != nil {
			fault("the document that works is not served: %v", err)
			return
		}
		stored, err := x.aws.Secrets.Get(t.Context(), "shop/"+s.provider+"/connection", "AWSCURRENT")
		if err != nil {
			t.Fatal(err)
		}
		d, err := draw(stored.Data, number)
		if err != nil {
			t.Fatal(err)
		}
		said = s.name + " with " + strings.Join(d.said, ", ")

		_, faults := refreshfn.CheckConnection(d.raw, time.Now())
		named := map[string]bool{}
		for _, f := range faults {
			named[strings.Split(f.Field, "[")[0]] = true
			named["(not a field's name)"] = named["(not a field's name)"] || f.Field == "(not a field's name)"
		}
		refused, breaks := false, false
		for field, e := range d.done {
			if field == "SK-live-0123" {
				field = "(not a field's name)"
			}
			byToken := s.provider == providers.ActiBook && field == "base_url" // it needs its token_url alone
			breaks = breaks || e.breaks && (!byToken || e.name != "null" && e.name != "taken away")
			_, another := d.done["provider"] // whose rules are not known, as what a kind needs is not
			_, unknown := d.done["kind"]
			unruled := (another || unknown) && slices.Contains(ofProvider, field) || byToken && e.name == "taken away"
			refused = refused || e.refused && (!byToken || e.name != "taken away")
			if e.refused && !named[field] && !unruled {
				fault("%q is not named: %v", field, faults)
			}
		}
		if !refused && len(faults) > 0 {
			fault("refused although it works: %v", faults)
		}
		if strings.Contains(faults.Error(), "canary") {
			fault("a credential is repeated: %v", faults)
		}

		// Whatever stands in the console, the credential that works goes on being
		// served, or another one that works.
		put(t, x.aws.Secrets, "shop/"+s.provider+"/connection", d.raw)
		x.tick()
		time.Sleep(time.Minute)
		result := x.ask()
		now, err := served(t, x.aws.Secrets, "shop", s.provider)
		if err != nil {
			fault("nothing is served any more: %v", err)
			return
		}
		healthy, _ := providers.ParseConnection(stored.Data)
		if err := refreshfn.Authorities(&providers.Options{HTTP: &http.Client{Transport: toProviders{x.rig}}})[s.provider].Probe(t.Context(), healthy, now); err != nil {
			fault("a credential that does not work is served: %v", err)
		}
		told := x.told()
		switch {
		case !refused && !slices.Contains(well, result.Outcome):
			fault("it works, and ends as %s (%s)", result.Outcome, result.Reason)
		case breaks && now.Credential != before.Credential:
			fault("it cannot work, and was renewed")
		case breaks && !strings.Contains(told, "needs"):
			fault("it cannot work, and nobody is told: %s (%s), events %q", result.Outcome, result.Reason, told)
		}
	})
	return wrong, said
}

// TestProveConnections lets people edit connections that work: 'connect' names every
// fault, and the functions go on serving a credential that works.
func TestProveConnections(t *testing.T) {
	t.Parallel()
	count, random, wrong := prove.Size(20000, prove.Sample(120, 40)), prove.Random(71), 0
	for i := range count {
		faults, said := judgeConnection(t, i%len(shapes), random.IntN)
		if len(faults) > 0 {
			wrong++
			t.Errorf("%s: %s", said, strings.Join(faults, "; "))
		}
	}
	prove.Figure(t, wrong == 0, "edited connections neither refused by every fault's name nor served", "none", "%d of %d", wrong, count)
}

// TestConnections_AnswersAreNoFaultOfTheConnection holds that what a provider answers,
// however odd, never counts as a connection of which no request can be made: nothing
// would be tried any more.
func TestConnections_AnswersAreNoFaultOfTheConnection(t *testing.T) {
	t.Parallel()
	for i := range shapes {
		for _, kind := range []sandbox.FaultKind{sandbox.Garbage, sandbox.Reset, sandbox.Denied, sandbox.BadGateway, sandbox.TooMany, sandbox.Dropped} {
			for after := range 3 {
				s := shapes[i]
				inTrial(t, s.provider, s.change, func(x *trial) {
					x.sandboxes[s.provider].Inject(sandbox.Fault{Kind: kind, After: after})
					if result := x.ask(); result.Outcome == protocol.Unconfigured {
						x.t.Errorf("%s, %s at request %d: %s (%s)", s.name, kind, after+1, result.Outcome, result.Reason)
					}
				})
			}
		}
	}
}

// FuzzConnection does the same with edits that the fuzzer chooses.
func FuzzConnection(f *testing.F) {
	for shape := range shapes {
		f.Add([]byte{byte(shape), 1, 8, 0, 9, 1, 13, 2})
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		number := func(below int) int {
			if len(choices) == 0 {
				return below - 1
			}
			n := int(choices[0]) % below
			choices = choices[1:]
			return n
		}
		if wrong, said := judgeConnection(t, number(len(shapes)), number); len(wrong) > 0 {
			t.Errorf("%s: %s", said, strings.Join(wrong, "; "))
		}
	})
}

// FuzzConnectionDocument reads anything: what has no fault is one document, which
// written again has none either.
func FuzzConnectionDocument(f *testing.F) {
	for _, document := range []string{`{"provider":"supersaas","kind":"static","base_url":"https://shop.example","account":"a","api_key":"canary"}`, `{"client_secrets":[null]}`, `[]`, ``} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
		c, faults := refreshfn.CheckConnection(document, now)
		if len(faults) > 0 {
			return
		}
		if again, faults := refreshfn.CheckConnection(c.Document(), now); len(faults) > 0 || !bytes.Equal(again.Document(), c.Document()) {
			t.Errorf("%q was taken, and written again it is not: %v", document, faults)
		}
	})
}
