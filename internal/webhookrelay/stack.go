package webhookrelay

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// A Mode says whether the relay writes.
type Mode string

// The modes.
const (
	Observe Mode = "observe" // do everything but the Yappli write and the rows; report what would change
	Write   Mode = "write"
)

// Settings are the rules that a team may change. Zero values mean the
// defaults named.
type Settings struct {
	Mode Mode
	// Link is what it takes to link a member that the relay did not make:
	// Approve.
	Link LinkMode
	// Hold is how long one attempt owns a row: 90 s. It must outlive every
	// request of the attempt, which end a ninth of it earlier.
	Hold time.Duration
	// Lag is how long Yappli's list may omit a new member: 2 minutes.
	Lag time.Duration
	// Cap is how many members may be disabled in an hour: 50.
	Cap int
	// CreateAfterList makes a creation wait for a list that began Lag after its
	// event and the user's last change. It matters where others create members,
	// too, and the tenant has no look-up by unique_id.
	CreateAfterList bool
	// WebhookURL is where SuperSaaS should post changed users, without the
	// secret: reconcile counts the webhooks that begin so. Empty: it does
	// not look.
	WebhookURL string
}

func (s Settings) hold() time.Duration {
	if s.Hold <= 0 {
		return 90 * time.Second
	}
	return s.Hold
}

func (s Settings) lag() time.Duration {
	if s.Lag <= 0 {
		return 2 * time.Minute
	}
	return s.Lag
}

func (s Settings) cap() int {
	if s.Cap <= 0 {
		return 50
	}
	return s.Cap
}

// A Config is what Open binds together.
type Config struct {
	Objects   objectstore.Store
	Prefix    string                // leads every key
	SuperSaaS providers.TokenSource // of the one account
	Yappli    providers.TokenSource // of the one tenant
	Options   providers.Options     // of both clients; its Limiter is not used
	Limiters  Limiters
	Mapping   *mapping.Mapping
	Identity  Identity
	Settings  Settings
	Log       *slog.Logger
	Metrics   Metrics
	Now       func() time.Time
	RequestID func(context.Context) string // of the invocation, for people who look at the log; nil: there is none
}

// Metrics takes measurements. Dimensions are few and of few values.
type Metrics interface {
	Add(name, unit string, value float64, dimensions map[string]string)
}

// Limiters pace the requests to each provider.
type Limiters struct{ SuperSaaS, Yappli *providers.Breaker }

// A Stack is one SuperSaaS account bound to one Yappli tenant. It is safe for
// concurrent use.
type Stack struct {
	Config

	users   *supersaas.Client
	members *yappli.Client
	quirks  yappli.Quirks
	bound   [2]providers.Token // what the state belongs to
	root    string             // leads the keys of this pair's state
	key     []byte
}

// Open reads both tokens and binds the stack to what they belong to. Its
// clients refuse to work with a token of another account, tenant or set of
// quirks: see Current.
func Open(ctx context.Context, c Config) (*Stack, error) {
	s := &Stack{Config: c}
	if c.RequestID == nil {
		s.RequestID = func(context.Context) string { return "" }
	}
	for i, source := range []providers.TokenSource{c.SuperSaaS, c.Yappli} {
		token, err := source.Token(ctx)
		if err != nil {
			return nil, err
		}
		s.bound[i] = token
	}
	var err error
	if s.quirks, err = yappli.ParseQuirks(s.bound[1].Quirks); err != nil {
		return nil, err
	}
	if s.key, err = s.stackKey(ctx); err != nil {
		return nil, err
	}
	s.root = c.Prefix + "/state/relay/" + s.fingerprint() + "/"
	options := func(g *providers.Breaker) *providers.Options {
		o := c.Options
		o.Limiter = g
		return &o
	}
	s.users = supersaas.New(pinned{c.SuperSaaS, s.bound[0]}, options(c.Limiters.SuperSaaS))
	s.members = yappli.New(pinned{c.Yappli, s.bound[1]}, options(c.Limiters.Yappli))
	return s, nil
}

// Current reports whether the tokens still belong to what the stack is bound
// to. If not, open another.
func (s *Stack) Current(ctx context.Context) (bool, error) {
	for i, source := range []providers.TokenSource{s.SuperSaaS, s.Yappli} {
		token, err := source.Token(ctx)
		if err != nil {
			return false, err
		}
		if !samePlace(token, s.bound[i]) {
			return false, nil
		}
	}
	return true, nil
}

// fingerprint tells this pair's state from that of any other.
func (s *Stack) fingerprint() string {
	return s.digest("fingerprint", s.bound[0].Account, strings.TrimRight(s.bound[0].BaseURL, "/"),
		strings.TrimRight(s.bound[1].BaseURL, "/"), s.Identity.By, s.Identity.Prefix, s.Prefix).String()
}

// stackKey reads the random key under which names and values are hashed, or
// makes it. Whoever may read the bucket can compute the hashes; whoever sees
// only the names of its objects cannot.
func (s *Stack) stackKey(ctx context.Context) ([]byte, error) {
	document, err := objectstore.ReadDocument(ctx, s.Objects, s.Prefix+"/state/relay/key")
	if err != nil {
		return nil, err
	}
	if !document.Exists() {
		fresh := make([]byte, sha256.Size)
		_, _ = rand.Read(fresh) // never fails
		switch next, err := document.Replace(ctx, s.Objects, fresh); {
		case err == nil:
			document = next
		case !errors.Is(err, objectstore.ErrConflict):
			return nil, err
		default:
			return s.stackKey(ctx) // somebody else made it
		}
	}
	var key []byte
	if err := document.Decode(&key); err != nil || len(key) != sha256.Size {
		return nil, fmt.Errorf("reading %s: not a key; move the object away, then run a reconcile", document.Key)
	}
	return key, nil
}

// A digest is an HMAC under the stack key, cut to 128 bits.
type digest [16]byte

// String returns lower-case hex.
func (d digest) String() string { return hex.EncodeToString(d[:]) }

// digest hashes parts of a kind, so that no two kinds and no two divisions of
// the same text collide.
func (s *Stack) digest(kind string, parts ...string) digest {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(kind))
	for _, p := range parts {
		_, _ = fmt.Fprintf(mac, "\x00%d\x00%s", len(p), p)
	}
	return digest(mac.Sum(nil)[:16])
}

// wishHash hashes the fields of an update: all but password, which is sent on
// creation only. Null and "" differ.
func (s *Stack) wishHash(fields yappli.Fields) string {
	parts := []string{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if v := fields[name]; name != "password" {
			parts = append(parts, name, v.Text, fmt.Sprint(v.Null))
		}
	}
	return s.digest("wish", parts...).String()
}

// errOtherPlace is temporary: the function opens another stack.
var errOtherPlace = fmt.Errorf("%w: the token belongs to another account now", providers.ErrUnsent)

// pinned hands out tokens of one place only.
type pinned struct {
	source providers.TokenSource
	place  providers.Token
}

// Token implements providers.TokenSource.
func (p pinned) Token(ctx context.Context) (providers.Token, error) {
	return p.check(p.source.Token(ctx))
}

// Rejected implements providers.TokenSource.
func (p pinned) Rejected(ctx context.Context, t providers.Token) (providers.Token, error) {
	return p.check(p.source.Rejected(ctx, t))
}

func (p pinned) check(t providers.Token, err error) (providers.Token, error) {
	if err == nil && !samePlace(t, p.place) {
		return providers.Token{}, errOtherPlace
	}
	return t, err
}

func samePlace(a, b providers.Token) bool {
	return a.Account == b.Account && a.BaseURL == b.BaseURL && bytes.Equal(a.Quirks, b.Quirks)
}
