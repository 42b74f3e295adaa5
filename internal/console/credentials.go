package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"hikyaku/pkg/providers"
)

// A credential is what is known of one provider's credential.
type credential struct {
	tokenLife
	tokenPast
}

// A tokenPast is what 'hikyaku tokens history' prints of one provider.
type tokenPast struct {
	DueAt      *time.Time `json:"due_at"`
	Reason     string     `json:"last_reason"`
	Failures   int        `json:"failures"`
	LastProbe  *time.Time `json:"last_probe"`
	NeedsHuman string     `json:"needs_human"`
	Budgets    []budget   `json:"budgets"`
	Renewals   []renewal  `json:"renewals"`
	Fault      string     `json:"error"`
}

// A budget is how many versions of a secret somebody may have written in 24 hours.
type budget struct {
	By    string     `json:"by"`
	Spent int        `json:"spent"`
	Of    int        `json:"of"`
	Next  *time.Time `json:"next"`
}

// Left is how many more may be written.
func (b budget) Left() int { return max(0, b.Of-b.Spent) }

// A renewal is a version that was written.
type renewal struct {
	At time.Time `json:"at"`
	By string    `json:"by"`
}

// Off reports whether there is no connection.
func (c credential) Off() bool { return c.State == "off" }

// People is the budget of those who force a refresh.
func (c credential) People() *budget {
	if i := slices.IndexFunc(c.Budgets, func(b budget) bool { return b.By == "people" }); i >= 0 {
		return &c.Budgets[i]
	}
	return nil
}

// OneTime reports whether its credential can be spent once only.
func (c credential) OneTime() bool {
	return c.Kind == string(providers.OneTimePair) || c.Kind == string(providers.OneTimeCode)
}

// tokensPage shows every credential, and renews it.
func (s *Server) tokensPage() page {
	return page{Name: "tokens", Path: "/tokens", Main: true, load: s.loadTokens, live: []string{"rests", "credentials"}}
}

// A tokensData is what the page of the tokens shows.
type tokensData struct {
	Credentials []credential
	Rests       *rest // they are paused; nil: they are not
	RestErr     error
	Events      []Event
}

func (s *Server) loadTokens(ctx context.Context, _ *http.Request) (any, error) {
	var d tokensData
	var err error
	if d.Credentials, err = s.credentials(ctx); err != nil {
		return nil, err
	}
	d.Rests, d.RestErr = s.rest(ctx, "tokens")
	return d, nil
}

// credentials joins what two commands print.
func (s *Server) credentials(ctx context.Context) ([]credential, error) {
	tokens, err := s.tokens(ctx)
	if err != nil {
		return nil, err
	}
	var past struct {
		Credentials []struct {
			tokenPast

			Provider string `json:"provider"`
		}
	}
	if err := s.reader.read(ctx, &past, "tokens", "history"); err != nil {
		return nil, err
	}
	all := make([]credential, 0, len(tokens))
	for _, life := range s.lives(tokens) {
		c := credential{tokenLife: life}
		for _, p := range past.Credentials {
			if p.Provider == life.Provider {
				c.tokenPast = p.tokenPast
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// A rest is a part of a stack that is paused.
type rest struct {
	By, Reason string
	Until      time.Time
}

// restFresh is how long it is shown again what is paused: it asks several services.
const restFresh = 10 * time.Second

// rest reads whether a part is paused; nil: it works.
func (s *Server) rest(ctx context.Context, part string) (*rest, error) {
	var printed struct{ Paused map[string]*rest }
	err := s.reader.readWithin(ctx, max(restFresh, s.options.Fresh), &printed, "pause")
	return printed.Paused[part], err
}

// credential shows one provider's credential, and connects it.
func (s *Server) credential() page {
	return page{Name: "credential", Path: "/tokens/{provider}", Under: "tokens", load: s.loadCredential, live: []string{"credential"}}
}

// A credentialData is what the page of a credential shows.
type credentialData struct {
	credential

	Form    connectForm
	FormErr error // why the form cannot be shown
	Events  []Event
}

// A connectForm is what 'hikyaku connect --fields' prints.
type connectForm struct {
	Stored bool
	Kinds  []struct {
		Kind   string
		Fields []struct {
			Field, Text, Value string
			Secret             bool
		}
	}
}

func (s *Server) loadCredential(ctx context.Context, r *http.Request) (any, error) {
	provider := r.PathValue("provider")
	if !slices.Contains(providers.Names(), provider) {
		return nil, saying("fault.no-provider")
	}
	all, err := s.credentials(ctx)
	if err != nil {
		return nil, err
	}
	var d credentialData
	for _, c := range all {
		if c.Provider == provider {
			d.credential = c
		}
	}
	d.FormErr = s.reader.readWithin(ctx, max(restFresh, s.options.Fresh), &d.Form, "connect", provider, "--fields")
	if dev := s.options.Dev; dev != nil {
		d.Events = dev.Events(Filter{Kinds: []Kind{Token}, Provider: provider, Limit: 50})
	}
	return d, nil
}

// A lookedAt is what 'hikyaku tokens refresh' prints.
type lookedAt struct {
	Results []struct{ Provider, Outcome, Reason string }
}

// A probed is what 'hikyaku tokens --probe' prints.
type probed struct {
	Tokens []struct {
		Provider, Probe string
		Answer          string `json:"probe_answer"`
	}
}

func (s *Server) tokenActions() []action {
	return []action{
		{name: "token-refresh", page: "tokens", shape: decoded[lookedAt], command: ofProvider("tokens", "refresh")},
		{name: "token-force", page: "tokens", shape: decoded[lookedAt], command: func(f url.Values) ([]string, error) {
			args, err := ofProvider("tokens", "refresh")(f)
			return append(args, "--force"), err
		}},
		{name: "token-resend", page: "tokens", shape: decoded[lookedAt], command: func(f url.Values) ([]string, error) {
			args, err := ofProvider("tokens", "refresh")(f)
			return append(args, "--force", "--resend-in-doubt"), err
		}},
		{name: "token-probe", page: "tokens", reads: true, shape: decoded[probed], command: func(url.Values) ([]string, error) { return []string{"tokens", "--probe"}, nil }},
		{name: "connect", command: ofProvider("connect"), stdin: connectionDocument, private: true},
		{name: "pause-tokens", command: pausing("tokens")},
		{name: "resume-tokens", command: resuming("tokens")},
	}
}

// ofProvider makes a command about the provider that a form names.
func ofProvider(words ...string) func(url.Values) ([]string, error) {
	return func(f url.Values) ([]string, error) {
		if !slices.Contains(providers.Names(), f.Get("provider")) {
			return nil, saying("fault.no-provider")
		}
		return append(slices.Clone(words), f.Get("provider")), nil
	}
}

// pausing makes the command that lets a part rest. It asks nothing more: the form did.
func pausing(part string) func(url.Values) ([]string, error) {
	return func(f url.Values) ([]string, error) {
		reason, length := strings.TrimSpace(f.Get("reason")), strings.TrimSpace(f.Get("for"))
		if reason == "" || length == "" {
			return nil, saying("fault.pause-why")
		}
		return []string{"pause", part, "--for", length, "--reason", reason, "--yes"}, nil
	}
}

func resuming(part string) func(url.Values) ([]string, error) {
	return func(url.Values) ([]string, error) { return []string{"resume", part, "--yes"}, nil }
}

// connectionDocument is what 'hikyaku connect' reads: the fields of a form that are filled.
func connectionDocument(f url.Values) []byte {
	document := map[string]any{"provider": f.Get("provider"), "kind": f.Get("kind")}
	for name, values := range f {
		field, is := strings.CutPrefix(name, "field.")
		value := strings.TrimSpace(values[0])
		switch {
		case !is || value == "":
		case field == "client_secrets":
			document[field] = []string{value}
		default:
			document[field] = value
		}
	}
	raw, _ := json.Marshal(document) // texts
	return raw
}
