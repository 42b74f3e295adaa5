package refreshfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// What a person asks for through the alias operator. The providers are then called from
// the stack's address, which may be the only one that they let in.
const (
	Connect = "connect" // try a candidate for a connection, and make it the connection
	Refresh = "refresh" // look at the credentials, by force if that is asked for
	Try     = "probe"   // ask the providers whether what is served works
)

// operations are the names that the function takes.
var operations = []string{Connect, Refresh, Try}

// An Operation is an event of the alias operator. It names secrets, and holds none.
type Operation struct {
	Name          string `json:"operation"`
	Provider      string `json:"provider,omitempty"`        // empty: every one
	Version       string `json:"version,omitempty"`         // to connect: of the candidate
	Base          string `json:"base,omitempty"`            // to connect: the version whose place it takes
	Force         bool   `json:"force,omitempty"`           // to refresh
	ResendInDoubt bool   `json:"resend_in_doubt,omitempty"` // to refresh, with force
}

// An Answer says what came of an operation. It holds no secret.
type Answer struct {
	Check   string                `json:"check,omitempty"`   // how a candidate was tried
	Fault   *Fault                `json:"fault,omitempty"`   // why it is not the connection
	Taken   bool                  `json:"taken,omitempty"`   // it is not, because somebody else changed the connection
	Results []tokenrefresh.Result `json:"results,omitempty"` // of what was looked at
	Probes  []Probe               `json:"probes,omitempty"`
}

// Answers reports whether it says what came of an operation. What does not comes from
// another version, and means nothing.
func (a Answer) Answers(o Operation) bool {
	switch o.Name {
	case Connect:
		return a.Check != "" || a.Fault != nil || a.Taken
	case Refresh:
		return len(a.Results) > 0
	}
	return len(a.Probes) > 0
}

// A Fault is an error of a provider's client, as an answer carries it.
type Fault struct {
	Kind string `json:"kind,omitempty"` // of kinds
	Text string `json:"text"`
}

// kinds name the entries of the vocabulary that somebody decides by, the narrower ones
// first.
var kinds = []struct {
	name string
	of   error
}{
	{"client", providers.ErrClient}, {"revoked", providers.ErrRevoked}, {"unauthorized", providers.ErrUnauthorized}, {"forbidden", providers.ErrForbidden},
	{"not_found", providers.ErrNotFound}, {"malformed", providers.ErrMalformed}, {"unsent", providers.ErrUnsent}, {"temporary", providers.ErrTemporary},
	{"rate_limited", providers.ErrRateLimited}, {"invalid", providers.ErrInvalid},
}

func faultOf(err error) *Fault {
	f := &Fault{Text: err.Error()}
	for _, k := range kinds {
		if errors.Is(err, k.of) {
			f.Kind = k.name
			break
		}
	}
	return f
}

// Error is the text of the error that it was.
func (f *Fault) Error() string { return f.Text }

// Unwrap returns the entry of the vocabulary that it was, or nil.
func (f *Fault) Unwrap() error {
	for _, k := range kinds {
		if k.name == f.Kind {
			return k.of
		}
	}
	return nil
}

// A Probe is what a provider says of the credential that is served.
type Probe struct {
	Provider string `json:"provider"`
	State    string `json:"state"` // Works, Refused or Unclear; empty: nothing is served
	Answer   string `json:"answer,omitempty"`
}

// The states of a Probe.
const (
	Works   = "works"
	Refused = "refused"
	Unclear = "unclear"
)

func (f *Function) operate(ctx context.Context, e event) ([]byte, error) {
	if err := f.admit(ctx, e, operationEvent); err != nil {
		return nil, err
	}
	var answer Answer
	var err error
	switch {
	case e.ResendInDoubt && !e.Force:
		err = errors.New("what may have been spent is sent again by force alone")
	case e.Name == Connect:
		answer, err = f.connect(ctx, e)
	case e.Name == Refresh:
		var report tokenrefresh.Report
		report, err = f.core.Run(ctx, tokenrefresh.Request{Provider: e.Provider, Force: e.Force, ResendInDoubt: e.ResendInDoubt})
		answer.Results = report.Results
	case e.Name == Try:
		answer.Probes = f.Probes(ctx)
	default:
		err = fmt.Errorf("the operation is unknown: known are %s", strings.Join(operations, ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("tokenrefresh: %w", err)
	}
	f.log.InfoContext(ctx, "operation done", "operation", e.Name, "provider", e.Provider, "version", e.Version, "refused", answer.Fault != nil || answer.Taken)
	return json.Marshal(answer)
}

// connect tries a candidate and makes it the connection. A code that it holds is
// exchanged then, by the protocol: whoever dies on the way, the next run goes on. An
// operation that is repeated does nothing twice.
func (f *Function) connect(ctx context.Context, e event) (Answer, error) {
	if !slices.Contains(providers.Names(), e.Provider) {
		return Answer{}, &tokenrefresh.UnknownProviderError{Provider: e.Provider}
	}
	if e.Version == "" || e.Base == "" { // the service reads no version as the current one
		return Answer{}, errors.New("to connect, name the version of the candidate, and the version whose place it takes")
	}
	name := secretstore.Name(f.base.Common.Prefix, e.Provider, secretstore.ConnectionPart)
	value, err := f.secrets.GetVersion(ctx, name, e.Version)
	if err != nil {
		return Answer{}, fmt.Errorf("reading the candidate for %s: %w", name, err)
	}
	if !value.Has(protocol.Candidate) && !value.Has(secretstore.Current) {
		return Answer{}, fmt.Errorf("the version is not the one under %s of %s: another command has stored a newer one; run it again", protocol.Candidate, name)
	}
	c, err := providers.ParseConnection(value.Data)
	switch faults := c.Unusable(); {
	case err != nil:
		return Answer{Fault: faultOf(err)}, nil
	case c.Provider != e.Provider:
		return Answer{Fault: &Fault{"invalid", "the candidate is a connection of another provider"}}, nil
	case len(faults) > 0:
		return Answer{Fault: faultOf(faults)}, nil
	}
	answer := Answer{Check: "it was stored before"}
	if !value.Has(secretstore.Current) {
		if answer.Check, err = TryConnection(ctx, f.base, c); err != nil {
			return Answer{Fault: faultOf(err)}, nil
		}
	}
	if taken, err := f.core.Adopt(ctx, e.Provider, tokenrefresh.Candidate{Version: e.Version, Base: e.Base}); taken || err != nil {
		if taken {
			err = nil
		}
		return Answer{Taken: taken}, err
	}
	if !c.Code.Empty() {
		answer.Results = []tokenrefresh.Result{f.core.Exchange(ctx, e.Provider)}
	}
	return answer, nil
}

// TryConnection tries a connection's credentials without spending anything, and says how.
func TryConnection(ctx context.Context, base *lambdafn.Base, c providers.Connection) (string, error) {
	authority := Authorities(base.Options())[c.Provider]
	token := providers.Token{
		Provider: c.Provider, Kind: c.Kind, BaseURL: c.BaseURL, LoginURL: c.LoginURL, Account: c.Account,
		Credential: c.APIKey, ObtainedAt: base.Now(), ExpiresAt: c.ExpiresAt, Quirks: c.Quirks,
	}
	switch c.Kind {
	case providers.ClientCredentials:
		grant, err := authority.Obtain(ctx, c, c.ClientSecrets[0], providers.Secret{}, false)
		if err != nil {
			return "", err
		}
		token.Credential, token.ExpiresAt = grant.Access, grant.ExpiresAt
	case providers.Static:
	default:
		return "not checked: that would spend the authorization code", nil
	}
	if err := authority.Probe(ctx, c, token); err != nil {
		return "", err
	}
	return "checked: the provider accepts it", nil
}

// Probes asks every provider whether the credential that is served works, all at once.
func (f *Function) Probes(ctx context.Context) []Probe {
	probes := make([]Probe, len(providers.Names()))
	var asking sync.WaitGroup
	for i, provider := range providers.Names() {
		asking.Go(func() { probes[i] = f.probe(ctx, provider) })
	}
	asking.Wait()
	return probes
}

func (f *Function) probe(ctx context.Context, provider string) Probe {
	token, connection, err := f.served(ctx, provider)
	switch {
	case errors.Is(err, secretstore.ErrNotFound), errors.Is(err, providers.ErrNotFound):
		return Probe{Provider: provider}
	case err == nil:
		err = Authorities(f.base.Options())[provider].Probe(ctx, connection, token)
		if err == nil {
			return Probe{provider, Works, ""}
		}
		if providers.Refused(err) {
			return Probe{provider, Refused, err.Error()}
		}
	}
	return Probe{provider, Unclear, err.Error()}
}

// served reads what callers are served, and the connection that it was made with.
func (f *Function) served(ctx context.Context, provider string) (t providers.Token, c providers.Connection, err error) {
	read := func(part string) (document []byte) {
		if err != nil {
			return nil
		}
		value, readErr := f.secrets.Get(ctx, secretstore.Name(f.base.Common.Prefix, provider, part), secretstore.Current)
		err = readErr
		return value.Data
	}
	token, connection := read(secretstore.TokenPart), read(secretstore.ConnectionPart)
	if err != nil {
		return t, c, err
	}
	if t, err = providers.ParseToken(token); err != nil {
		return t, c, err
	}
	c, err = providers.ParseConnection(connection)
	if errors.Is(err, providers.ErrInvalid) { // the token may work all the same
		err = nil
	}
	return t, c, err
}
