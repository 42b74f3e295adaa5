package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A person answers in order, and notes what is not echoed.
type person struct {
	answers []string
	hidden  int
}

func (p *person) line(context.Context) (string, error) {
	if len(p.answers) == 0 {
		return "", errors.New("a question too many")
	}
	answer := p.answers[0]
	p.answers = p.answers[1:]
	return answer, nil
}

func (p *person) secret(ctx context.Context) (string, error) {
	p.hidden++
	return p.line(ctx)
}

// A connecting is 'hikyaku connect' with a person at the terminal.
type connecting struct {
	t       *testing.T
	base    *lambdafn.Base
	secrets *secretstore.Memory
	prompt  bytes.Buffer
}

func newConnecting(t *testing.T) *connecting {
	t.Helper()
	c := &connecting{t: t, secrets: new(secretstore.Memory)}
	c.base = &lambdafn.Base{Secrets: c.secrets, Now: time.Now}
	c.base.Common.Prefix = "shop"
	return c
}

func (c *connecting) store(connection providers.Connection) {
	c.t.Helper()
	if _, err := storeSecret(context.Background(), c.base, connectionName(c.base, connection.Provider), connection.Document()); err != nil {
		c.t.Fatal(err)
	}
}

// with asks one person, who has no more answers than are needed.
func (c *connecting) with(n newConnection, answers ...string) (connection, stored providers.Connection, err error) {
	c.t.Helper()
	n.base = c.base
	p := &person{answers: answers}
	connection, stored, _, err = n.ask(context.Background(), interview{terminal: p, prompt: &c.prompt, now: c.base.Now})
	if len(p.answers) > 0 {
		c.t.Errorf("answers left: %q\n%s", p.answers, c.prompt.String())
	}
	return connection, stored, err
}

// The same values again keep the quirks, and whatever is not asked for; a secret is
// kept by Enter, and a documented address, too.
func TestConnect_AgainKeepsWhatIsNotAsked(t *testing.T) {
	t.Parallel()
	c := newConnecting(t)
	before := yapplitest.New(sandbox.Options{}).Connection("https://crm.example")
	before.Quirks, before.ClientSecrets = json.RawMessage(`{"update":"partial"}`), append(before.ClientSecrets, providers.NewSecret("canary-older"))
	c.store(before)
	after, stored, err := c.with(newConnection{provider: providers.Yappli, unchecked: true}, "", "", "")
	if err != nil || !bytes.Equal(after.Document(), before.Document()) {
		t.Fatalf("%v: %s\nwas %s\n%s", err, after.Document(), before.Document(), c.prompt.String())
	}
	if said := changesOf(stored, after); len(said) != 1 || !strings.Contains(said[0].String(), "Nothing changes") {
		t.Error(said)
	}
	if after, _, err = c.with(newConnection{provider: providers.Yappli, unchecked: true, resetQuirks: true}, "", "", ""); err != nil || after.Quirks != nil {
		t.Errorf("%v, quirks %s; want none", err, after.Quirks)
	}
	if strings.Contains(c.prompt.String(), "canary") {
		t.Error("a secret was shown")
	}
}

// Only what was wrong is asked again: in its form, and once the provider has answered.
func TestConnect_AsksAgainOnlyWhatWasWrong(t *testing.T) {
	t.Parallel()
	c := newConnecting(t)
	after, _, err := c.with(newConnection{provider: providers.SHOPLINE, unchecked: true},
		"maybe", "no", "", "shop-handle", "invented token", "2020-03-31T00:00:00+09:00", // a blank within, an end in the past
		"invented-token", "-")
	if err != nil || after.BaseURL != "https://open.shopline.io/v1" || after.APIKey.Reveal() != "invented-token" || after.Kind != providers.Static {
		t.Fatalf("%v, %s\n%s", err, after.Document(), c.prompt.String())
	}
	for _, said := range []string{"Please answer yes or no", "api_key: holds white space", "expires_at: 2020-03-31T00:00:00+09:00 has passed", "[https://open.shopline.io/v1]"} {
		if !strings.Contains(c.prompt.String(), said) {
			t.Errorf("%q was not said:\n%s", said, c.prompt.String())
		}
	}
}

// The documents of everybody's sandbox are right.
func TestCheckConnection_TakesWhatWorks(t *testing.T) {
	t.Parallel()
	shop := shoplinetest.New(sandbox.Options{})
	for _, c := range []providers.Connection{
		yapplitest.New(sandbox.Options{}).Connection("http://127.0.0.1:8080"), shop.Connection("https://open.shopline.io/v1"),
		shop.AppConnection("http://localhost:8080/v1"), supersaastest.New(sandbox.Options{}).Connection("https://www.supersaas.com"),
	} {
		if _, err := parseDocument(c.Document(), c.Provider, time.Now()); err != nil {
			t.Errorf("%s: %v", c.Provider, err)
		}
	}
}

// Every fault is named at once, by its field, and no value of a credential with it.
func TestCheckConnection_NamesEveryFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		document string
		faults   []string
	}{
		"all at once": {`{"provider":"yappli","kind":"client_credential","base_url":"x","client_id":"a","client_secret":["canary"]}`,
			[]string{"client_secret: no field of a connection", `kind: "client_credential" is none of`, "base_url: not an address", "client_secrets: is missing"}},
		"a line break": {`{"provider":"supersaas","kind":"static","base_url":"https://www.supersaas.com","account":"a","api_key":"canary\ncanary"}`,
			[]string{"api_key: holds a control character (a line break or tab) at place 7"}},
		"a blank": {`{"provider":"supersaas","kind":"static","base_url":"https://www.supersaas.com","account":"a","api_key":"canary canary"}`,
			[]string{"api_key: holds white space"}},
		"another's kind": {`{"provider":"supersaas","kind":"one_time_pair","base_url":"https://www.supersaas.com","account":"a","api_key":"canary"}`,
			[]string{"kind: supersaas has no credential of the kind"}},
		"in clear": {`{"provider":"supersaas","kind":"static","base_url":"http://www.supersaas.com","account":"a","api_key":"canary"}`,
			[]string{"base_url: must begin with https://"}},
		"with a user": {`{"provider":"supersaas","kind":"static","base_url":"https://u:canary@www.supersaas.com","account":"a","api_key":"k"}`,
			[]string{"base_url: must not hold a user name"}},
		"the usual slips": {`{"provider":"yappli","kind":"client_credentials","base_url":"https://crm.example/api/ext","client_id":"a","client_secrets":["canary"],"quirks":{"update":"maybe"}}`,
			[]string{"base_url: must end before /api/ext", "quirks: "}},
		"without /v1": {`{"provider":"shopline","kind":"static","base_url":"https://open.shopline.io","api_key":"canary"}`,
			[]string{"base_url: must end in /v1"}},
		"an end in the past": {`{"provider":"shopline","kind":"static","base_url":"https://open.shopline.io/v1","api_key":"canary","expires_at":"2020-03-31T00:00:00+09:00"}`,
			[]string{"expires_at: 2020-03-31T00:00:00+09:00 has passed"}},
		"types": {`{"provider":"supersaas","kind":"static","base_url":7,"account":null,"api_key":["canary"],"expires_at":3}`,
			[]string{"base_url: expected a text", "account: expected a text", "api_key: expected a text", "expires_at: expected"}},
		"never":           {`{"provider":"shopline","kind":"static","base_url":"https://open.shopline.io/v1","api_key":"canary","expires_at":"0001-01-01T00:00:00Z"}`, []string{"expires_at: 0001-01-01T00:00:00Z has passed"}},
		"no host":         {`{"provider":"supersaas","kind":"static","base_url":"https://:443/x","account":"a","api_key":"canary"}`, []string{"base_url: not an address"}},
		"an unseen blank": {`{"provider":"supersaas","kind":"static","base_url":"https://www.supersaas.com","account":"a\nb","api_key":"canary","probe_order":"1\u200b2"}`, []string{"account: holds a line break", "probe_order: holds a line break, a tab or an invisible character at place 2"}},
		"twice, and more": {`{"provider":"shopline","provider":"shopline","kind":"static","base_url":"x","account":"a","account":"b"}`, []string{"provider: stands there twice", "account: stands there twice", "base_url: not an address", "api_key: is missing"}},
		"twice":           {`{"provider":"supersaas","kind":"static","base_url":"https://www.supersaas.com","account":"a","api_key":"k","api_key":"canary"}`, []string{"api_key: stands there twice"}},
		"no object":       {`["canary"]`, []string{"not one JSON object"}},
		"two objects":     {`{"provider":"supersaas"}{"api_key":"canary"}`, []string{"not one JSON object"}},
		"a value as name": {`{"canary-0123456789":"x"}`, []string{"(not a field's name): no field", "provider: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseDocument([]byte(c.document), providers.Yappli, time.Now())
			var usage *usageError
			if errors.As(err, &usage) { // of another provider
				_, err = parseDocument([]byte(c.document), strings.Split(c.document, `"`)[3], time.Now())
			}
			for _, fault := range c.faults {
				if !strings.Contains(fmt.Sprint(err), fault) {
					t.Errorf("%v\nlacks %q", err, fault)
				}
			}
			if strings.Contains(fmt.Sprint(err), "canary") {
				t.Errorf("a credential is repeated: %v", err)
			}
		})
	}
}

// Whatever document is read, it is refused or it is one that stays the same when it is
// read again, and with which a request can be made: its sandbox takes it or refuses the
// credential, and nothing else.
func FuzzConnection(f *testing.F) {
	crm, booking, shop := yapplitest.New(sandbox.Options{Rate: -1}), supersaastest.New(sandbox.Options{Rate: -1}), shoplinetest.New(sandbox.Options{Rate: -1})
	for _, c := range []providers.Connection{
		crm.Connection("https://crm.example"), booking.Connection("https://booking.example"), shop.Connection("https://shop.example"), shop.AppConnection("https://shop.example"),
	} {
		f.Add(c.Document())
	}
	f.Add([]byte(`{"provider":"supersaas","kind":"static","base_url":"https://[::1%25a]:443","account":"a b","api_key":"\u007f","quirks":null,"expires_at":"9999-12-31T23:59:59Z"}`))
	f.Add([]byte(`{"provider":"yappli","kind":"client_credentials","base_url":"https://a/?#","client_id":"a:b","client_secrets":["",null,"\ud800"],"quirks":{"a":[]}}`))
	at := map[string]http.RoundTripper{
		providers.Yappli: sandbox.Transport(crm), providers.SuperSaaS: sandbox.Transport(booking), providers.SHOPLINE: sandbox.Transport(shop),
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		parsed, _ := providers.ParseConnection(document)
		c, err := parseDocument(document, parsed.Provider, time.Now())
		if err != nil {
			return
		}
		again, err := parseDocument(c.Document(), c.Provider, time.Now())
		if err != nil || !bytes.Equal(again.Document(), c.Document()) {
			t.Fatalf("%s\nis read again as %s: %v", c.Document(), again.Document(), err)
		}
		transport, served := at[c.Provider]
		if !served {
			return
		}
		base := lambdafn.Open(lambdafn.Environ{HTTP: transport, Out: io.Discard}, lambdafn.Common{Region: "x", LogLevel: "INFO"})
		_, err = refreshfn.TryConnection(t.Context(), base, c)
		for _, answer := range []error{providers.ErrClient, providers.ErrUnauthorized, providers.ErrForbidden, providers.ErrNotFound} {
			if errors.Is(err, answer) {
				return
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", c.Document(), err)
		}
	})
}

// What is typed and not shown can be corrected as on any terminal.
func TestHiddenLine(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"key\r": "key", "key\nmore": "key", "kez\x7fy\r": "key", "\x7fkey\r": "key", "円\bkey\r": "key", "wrong\x15key\r": "key", "key\x04\r": "key", "\r": "",
	} {
		if got, err := hiddenLine(strings.NewReader(typed)); got != want || err != nil {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
	for typed, want := range map[string]error{"\x04": io.EOF, "key": io.EOF, "key\x03": errStoppedAsking, "\x1c": errStoppedAsking} {
		if got, err := hiddenLine(strings.NewReader(typed)); got != "" || !errors.Is(err, want) {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
}
