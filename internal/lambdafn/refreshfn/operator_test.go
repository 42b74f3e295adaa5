package refreshfn_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// stage stores a document as the candidate of a provider's connection, as the command
// does, and returns the event that names it.
func (s *stack) stage(provider string, document []byte) (c tokenrefresh.Candidate, event string) {
	s.t.Helper()
	name := secretstore.Name(localstack.Prefix, provider, secretstore.ConnectionPart)
	before, err := s.AWS.Secrets.Get(s.t.Context(), name, secretstore.Current)
	s.must(err)
	c, err = tokenrefresh.Stage(s.t.Context(), s.AWS.Secrets, uuid.NewString, name, before.ID, document)
	s.must(err)
	return c, fmt.Sprintf(`{"operation":"connect","provider":%q,"version":%q,"base":%q}`, provider, c.Version, c.Base)
}

func (s *stack) answer(event string) (a refreshfn.Answer) {
	s.t.Helper()
	text, err := s.ask(localstack.Operator, event)
	s.must(err)
	s.must(json.Unmarshal([]byte(text), &a))
	return a
}

func (s *stack) currentConnection(provider string) string {
	s.t.Helper()
	value, err := s.AWS.Secrets.Get(s.t.Context(), secretstore.Name(localstack.Prefix, provider, secretstore.ConnectionPart), secretstore.Current)
	s.must(err)
	return value.ID
}

// A candidate that does not work is refused with what the command decides by, and the
// connection stays.
func TestOperator_RefusesACandidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(s *stack, c *providers.Connection)
		want  error
		text  string
	}{
		"wrong key":        {func(_ *stack, c *providers.Connection) { c.APIKey = providers.NewSecret("canary-wrong-key") }, providers.ErrUnauthorized, "credential not accepted"},
		"another provider": {func(_ *stack, c *providers.Connection) { c.Provider = providers.SHOPLINE }, providers.ErrInvalid, "of another provider"},
		"no address":       {func(_ *stack, c *providers.Connection) { c.BaseURL = "" }, providers.ErrInvalid, "base_url: not an address"},
		"no client secret": {func(_ *stack, c *providers.Connection) { c.Kind = providers.ClientCredentials }, providers.ErrInvalid, "no token is given without"},
		"an outage": {func(s *stack, _ *providers.Connection) {
			s.SuperSaaS().Inject(sandbox.Fault{Kind: sandbox.ServerFail, Times: -1})
		}, providers.ErrTemporary, "temporary failure"},
		"an address that is not let in": {func(s *stack, c *providers.Connection) {
			wall := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
			s.t.Cleanup(wall.Close)
			c.BaseURL = wall.URL
		}, providers.ErrForbidden, "IP allow list"},
		"nobody there": {func(_ *stack, c *providers.Connection) { c.BaseURL = "http://127.0.0.1:9" }, providers.ErrUnsent, "nothing was sent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			connection := s.SuperSaaS().Connection(s.URLs[providers.SuperSaaS])
			c.spoil(s, &connection)
			before := s.currentConnection(providers.SuperSaaS)
			_, event := s.stage(providers.SuperSaaS, connection.Document())
			a := s.answer(event)
			if a.Fault == nil || !errors.Is(a.Fault, c.want) || !strings.Contains(a.Fault.Text, c.text) || a.Taken {
				t.Fatalf("%+v: %v, want %v, %q", a, a.Fault, c.want, c.text)
			}
			if s.currentConnection(providers.SuperSaaS) != before {
				t.Error("the connection has changed")
			}
			if strings.Contains(s.logged()+a.Fault.Text, "canary") {
				t.Error("a credential was shown")
			}
		})
	}
}

// What makes no sense is an error, and says what to do.
func TestOperator_RefusesWhatIsNoCandidate(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	connection := s.SuperSaaS().Connection(s.URLs[providers.SuperSaaS])
	_, old := s.stage(providers.SuperSaaS, connection.Document())
	_, event := s.stage(providers.SuperSaaS, connection.Document())
	for event, want := range map[string]string{
		old: "another command has stored a newer one; run it again",
		strings.Replace(event, "supersaas", "unheard-of", 1): "unknown provider",
		strings.Replace(event, "supersaas", "yappli", 1):     "reading the candidate for hikyaku/yappli/connection",
		`{"operation":"connect","provider":"supersaas"}`:     "name the version of the candidate",
		`{"operation":"refresh","resend_in_doubt":true}`:     "by force alone",
		`{"operation":"read","provider":"supersaas"}`:        "the operation is unknown: known are connect, refresh, probe",
	} {
		if _, err := s.ask(localstack.Operator, event); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if a := s.answer(event); a.Fault != nil || a.Check != "checked: the provider accepts it" {
		t.Errorf("%+v", a)
	}
	// Repeated, as after an answer that was lost.
	if a := s.answer(event); a.Fault != nil || a.Taken || a.Check != "it was stored before" {
		t.Errorf("repeated: %+v", a)
	}
	late, event := s.stage(providers.SuperSaaS, connection.Document())
	s.connect(connection)
	if a := s.answer(event); !a.Taken {
		t.Errorf("somebody else's edit was overwritten: %+v, base %s", a, late.Base)
	}
}

// A code in a candidate is exchanged once, however often the operation is repeated, and
// neither it nor the token is in an answer or a log.
func TestOperator_ExchangesACodeOnce(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	app := s.app()
	_, event := s.stage(providers.SHOPLINE, app.Document())
	text, err := s.ask(localstack.Operator, event)
	s.must(err)
	again, err := s.ask(localstack.Operator, event)
	s.must(err)
	if !strings.Contains(text, `"outcome":"refreshed"`) || !strings.Contains(again, `"outcome":"fresh"`) {
		t.Errorf("%s\nthen %s", text, again)
	}
	s.works(providers.SHOPLINE)
	said := text + again + s.logged()
	for what, secret := range map[string]providers.Secret{"code": app.Code, "client secret": app.ClientSecrets[0], "token": s.token(providers.SHOPLINE).Credential} {
		if strings.Contains(said, secret.Reveal()) {
			t.Errorf("the %s was shown", what)
		}
	}
	if d, err := s.AWS.Secrets.Describe(t.Context(), localstack.Prefix+"/shopline/connection"); err != nil {
		t.Error(err)
	} else if v, held := d.Holder(protocol.Candidate); held {
		t.Errorf("version %s still has the label", v.ID)
	}
}
