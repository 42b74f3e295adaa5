package localstack

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A Sandbox is what every provider's sandbox offers.
type Sandbox interface {
	http.Handler
	// Connection is what an operator would configure for the sandbox at base.
	Connection(base string) providers.Connection
	// Token is a token that the sandbox at base accepts.
	Token(base string) providers.Token
	// Dump writes the records as JSON, as the lists serve them; Load
	// replaces them by what Dump wrote.
	Dump(w io.Writer) error
	Load(r io.Reader) error
	// Err says why the state that was kept cannot be read or written.
	Err() error
}

// NewSandbox returns a provider's sandbox, or nil for an unknown name.
func NewSandbox(provider string, o sandbox.Options) Sandbox {
	switch provider {
	case providers.AssistTencho:
		return assisttenchotest.New(o)
	case providers.Yappli:
		return yapplitest.New(o)
	case providers.SHOPLINE:
		return shoplinetest.New(o)
	case providers.ActiBook:
		return actibooktest.New(o)
	case providers.SuperSaaS:
		return supersaastest.New(o)
	}
	return nil
}

// AllowLocalHooks lets clients register webhooks and callbacks that point at
// this machine, which the provider could not reach. Other sandboxes than
// SuperSaaS's and SHOPLINE's post nothing, and are left alone. Call it before s
// serves.
func AllowLocalHooks(s Sandbox) {
	switch s := s.(type) {
	case *supersaastest.Server:
		s.Knobs.AllowLocal = true
	case *shoplinetest.Server:
		s.AllowLocal = true
	}
}

// SetRedirect registers another redirect URL for the application of アシスト店長's sandbox,
// unless it is empty. Other sandboxes are left alone. Call it before s serves.
func SetRedirect(s Sandbox, address string) {
	if shop, ok := s.(*assisttenchotest.Server); ok && address != "" {
		shop.RedirectURI = address
	}
}

// A Login is that of the person who approves an application.
type Login struct {
	ID       string `json:"id"`
	Password string `json:"password"`
}

// LoginOf is an invention that opens nothing but the approval page of アシスト店長's
// sandbox. It is nil for every other.
func LoginOf(s Sandbox) *Login {
	shop, ok := s.(*assisttenchotest.Server)
	if !ok {
		return nil
	}
	return &Login{ID: shop.AdminID, Password: shop.AdminPassword}
}

// A Handover is a token of Yappli's app and the member that it was made for.
type Handover struct {
	Token string `json:"token"`
	ID    string `json:"id"`
}

// NewHandover makes a hand-over token for a sandbox's first member, because a
// client cannot: the app makes them, and no sandbox has an app. It is nil if
// the sandbox is not Yappli's or has no members.
func NewHandover(s Sandbox) *Handover {
	app, ok := s.(*yapplitest.Server)
	if !ok {
		return nil
	}
	members := app.Members()
	if len(members) == 0 {
		return nil
	}
	id := members[0].ID
	return &Handover{Token: app.IssueHandover(id), ID: id}
}

// WithRecords serves a sandbox, and beside the provider's own routes its
// records: GET /_sandbox/records returns them, PUT replaces them.
func WithRecords(s Sandbox) http.Handler {
	const path = "/_sandbox/records"
	mux := http.NewServeMux()
	mux.Handle("/", s)
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		var records bytes.Buffer
		if err := s.Dump(&records); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(records.Len()))
		_, _ = records.WriteTo(w)
	})
	mux.HandleFunc("PUT "+path, func(w http.ResponseWriter, r *http.Request) {
		if err := s.Load(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// DumpFile writes a sandbox's records to a new file.
func DumpFile(s Sandbox, path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the caller names the file
	if err != nil {
		return err
	}
	return errors.Join(s.Dump(file), file.Close())
}
