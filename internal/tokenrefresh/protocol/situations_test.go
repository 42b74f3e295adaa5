package protocol_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

const (
	day  = 24 * time.Hour
	hour = time.Hour
)

// The versions that the situations speak of.
const (
	connectionID = "connection-1"
	tokenID      = "hikyaku-token-1"
	recordID     = "hikyaku-record-1"
	storedID     = "hikyaku-stored"
	pendingID    = "service-version"
	editID       = "edit-by-a-person"
)

var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// A situation is where a run begins.
type situation struct {
	name       string
	provider   string
	kind       providers.Kind
	task       protocol.Task
	age        time.Duration // of the token that is served
	life       time.Duration // 0: unknown
	connection func(*providers.Connection)
	journal    func(*protocol.Journal)
	token      func(*providers.Token)
	grant      func(*providers.Grant) // of the record
	none       bool                   // nothing is stored yet
	edited     bool                   // a person made the version that is served
	misspelled bool                   // the connection has a field that none has
	ending     bool                   // follow how people are told
}

// connected is the connection's document.
func (s situation) connected() providers.Connection {
	c := providers.Connection{
		Provider: s.provider, Kind: s.kind, BaseURL: "https://provider.test", ClientID: "client",
		ClientSecrets: []providers.Secret{providers.NewSecret("secret-a"), providers.NewSecret("secret-b")},
	}
	switch s.kind {
	case providers.Static:
		c.APIKey = providers.NewSecret("key-1")
	case providers.OneTimePair, providers.OneTimeCode:
		c.Code = providers.NewSecret("code-1")
	case providers.ClientCredentials:
	}
	if s.connection != nil {
		s.connection(&c)
	}
	return c
}

func (s situation) ends(obtained time.Time) time.Time {
	if s.life == 0 {
		return time.Time{}
	}
	return obtained.Add(s.life)
}

// served is the token's document.
func (s situation) served() providers.Token {
	c := providers.Connection{Provider: s.provider, Kind: s.kind, BaseURL: "https://provider.test"}
	t := providers.Token{Provider: c.Provider, Kind: c.Kind, BaseURL: c.BaseURL, Credential: providers.NewSecret("access-1"), ObtainedAt: now.Add(-s.age), Base: "hikyaku-token-0"}
	if s.kind == providers.Static {
		t.Credential = providers.NewSecret("key-1")
	}
	t.ExpiresAt = s.ends(t.ObtainedAt)
	if s.token != nil {
		s.token(&t)
	}
	return t
}

// recorded is the refresh secret's document.
func (s situation) recorded() providers.Grant {
	g := providers.Grant{
		Access: providers.NewSecret("access-1"), Refresh: providers.NewSecret("refresh-1"), ObtainedAt: now.Add(-s.age),
		Base: "hikyaku-record-0", Origin: fingerprint("code-1"),
	}
	g.ExpiresAt = s.ends(g.ObtainedAt)
	if s.grant != nil {
		s.grant(&g)
	}
	return g
}

// left is what the last run left behind.
func (s situation) left() protocol.Journal {
	j := protocol.Journal{Connection: connectionID, Outcome: protocol.Refreshed, At: now.Add(-s.age), Tried: connectionID + "/" + tokenID, Probed: now.Add(-s.age)}
	if s.kind == providers.OneTimePair {
		j.Renews = true
	}
	if s.none {
		j = protocol.Journal{}
	}
	if s.journal != nil {
		s.journal(&j)
	}
	return j
}

// fingerprint names a one-time credential in journals and grants.
func fingerprint(credential string) string {
	sum := sha256.Sum256([]byte("hikyaku one-time " + credential))
	return hex.EncodeToString(sum[:8])
}

// An answer is one thing that an action may give.
type answer struct {
	name string
	got  protocol.Got
	left time.Duration // 0: enough
}

var (
	errOutage    = errors.New("outage")
	errMissing   = errors.New("not found")
	errTaken     = errors.New("taken")
	failed       = answer{"error", protocol.Got{Err: errOutage}, 0}
	missing      = answer{"missing", protocol.Got{Err: errMissing, Missing: true}, 0}
	taken        = answer{"taken", protocol.Got{Err: errTaken, Taken: true}, 0}
	done         = answer{"ok", protocol.Got{}, 0}
	unreadableID = "unreadable"
)

func value(name, id string, data []byte) answer {
	return answer{name, protocol.Got{ID: id, Data: data}, 0}
}

func provider(name string, kind error, status int) answer {
	return answer{name, protocol.Got{Err: &providers.Error{Provider: "test", Op: "test", Kind: kind, Status: status}}, 0}
}

// answers are all that an action may give in a situation.
func (s situation) answers(a protocol.Action) []answer {
	switch a.Do {
	case protocol.Read, protocol.ReadVersion, protocol.Open, protocol.Await:
		return s.read(a)
	case protocol.ReadJournal:
		return []answer{{"ok", protocol.Got{Journal: s.left()}, 0}, failed}
	case protocol.Lease:
		return []answer{{"ok", protocol.Got{Journal: s.left()}, 0}, {"taken", protocol.Got{Err: errTaken, Taken: true}, 0}, failed}
	case protocol.ReadRotation:
		return []answer{
			done, missing, failed,
			{"rotates", protocol.Got{Rotates: true, Current: recordID}, 0},
			{"rotates, current is pending", protocol.Got{Rotates: true, Current: recordID, Pending: recordID}, 0},
			{"rotates, another is pending", protocol.Got{Rotates: true, Current: recordID, Pending: pendingID}, 0},
		}
	case protocol.WriteJournal:
		return []answer{done, {"ok, 5 s are left", protocol.Got{}, 5 * time.Second}, {"ok, less is left", protocol.Got{}, 5*time.Second - 1}, taken, failed}
	case protocol.Obtain:
		return s.obtained()
	case protocol.Probe:
		return []answer{done, provider("401", providers.ErrUnauthorized, 401), provider("403", providers.ErrForbidden, 403), provider("503", providers.ErrTemporary, 503), provider("404", providers.ErrNotFound, 404), provider("never sent", providers.ErrInvalid, 0), provider("unreadable", providers.ErrInvalid, 200)}
	case protocol.Store:
		return []answer{{"ok", protocol.Got{ID: stored(a)}, 0}, {"error", protocol.Got{ID: stored(a), Err: errOutage}, 0}}
	case protocol.Promote:
		return []answer{done, taken, failed}
	default:
		return []answer{done, failed}
	}
}

func stored(a protocol.Action) string {
	if a.ID != "" {
		return a.ID
	}
	return protocol.OwnVersion + "new"
}

func (s situation) obtained() []answer {
	grant := providers.Grant{Access: providers.NewSecret("access-2"), Refresh: providers.NewSecret("refresh-2"), ObtainedAt: now, ExpiresAt: now.Add(s.life)}
	if s.kind == providers.ClientCredentials {
		grant.Refresh = providers.Secret{}
	}
	short, rounded, long := grant, grant, grant
	documented := protocol.PolicyOf(s.provider, s.kind).Life
	short.Refresh, rounded.ExpiresAt, long.ExpiresAt = providers.Secret{}, now.Add(documented+documented/10), now.Add(documented+documented/10+1)
	list := []answer{
		{"grant", protocol.Got{Grant: grant}, 0}, {"grant of a tenth more than is documented", protocol.Got{Grant: rounded}, 0}, {"grant of even more", protocol.Got{Grant: long}, 0},
		provider("client refused", providers.ErrClient, 401), provider("revoked", providers.ErrRevoked, 400), provider("429", providers.ErrRateLimited, 429),
		provider("unsent", providers.ErrUnsent, 0), provider("no request can be made", providers.ErrInvalid, 0), provider("422", providers.ErrInvalid, 422),
		provider("503", providers.ErrTemporary, 503), provider("408", providers.ErrTemporary, 408), provider("399", providers.ErrInvalid, 399), provider("400", providers.ErrInvalid, 400), provider("500", providers.ErrInvalid, 500),
		{"unclear", protocol.Got{Err: errOutage}, 0},
	}
	if s.kind != providers.ClientCredentials {
		list = append(list, answer{"grant without refresh token", protocol.Got{Grant: short}, 0})
	}
	return list
}

// read are the answers to a read.
func (s situation) read(a protocol.Action) []answer {
	c, token, grant, version := s.connected(), s.served(), s.recorded(), tokenID
	if s.edited {
		version = editID
	}
	other := token
	other.Credential, other.ObtainedAt = providers.NewSecret("access-by-another"), now
	switch {
	case a.Part == protocol.ConnectionSecret:
		document := c.Document()
		if s.misspelled {
			document = append([]byte(`{"acount":"x",`), document[1:]...)
		}
		return []answer{value("ok", connectionID, document), missing, failed}
	case a.Do == protocol.Await:
		return []answer{
			value("another token", "hikyaku-token-2", other.Document()), value("the same", tokenID, token.Document()), value("placeholder", "hikyaku-token-2", []byte(`{}`)),
			failed, {"stopped", protocol.Got{Err: errOutage}, -1},
		}
	case a.Run.Phase == protocol.Promoting:
		return s.edits(a)
	case a.Do == protocol.ReadVersion && a.ID != pendingID: // that the journal names
		return []answer{value("ok", a.ID, other.Document()), missing, failed}
	case a.Do == protocol.ReadVersion && a.Part == protocol.TokenSecret, a.Part == protocol.TokenSecret && a.Label != protocol.Current && a.Do == protocol.Read:
		return s.storedTokens(a)
	case a.Part == protocol.TokenSecret && s.none:
		list := []answer{value("placeholder", tokenID, []byte(`{"placeholder":""}`)), failed}
		if a.Do == protocol.Read {
			list = append(list, missing)
		}
		return list
	case a.Part == protocol.TokenSecret:
		ok := value("ok", version, token.Document())
		if a.Do == protocol.Open {
			return []answer{ok, value("another version", "hikyaku-token-2", token.Document()), failed}
		}
		return []answer{ok, {"ok, 5 s are left", ok.got, 5 * time.Second}, {"ok, less is left", ok.got, 5*time.Second - 1}, failed}
	case a.Label == protocol.Next, a.Label == protocol.Pending, a.Do == protocol.ReadVersion:
		return s.storedGrants(a)
	case s.none:
		return []answer{value("placeholder", recordID, []byte(`{"placeholder":""}`)), failed}
	}
	list := []answer{value("ok", recordID, grant.Document()), failed}
	if a.Do == protocol.Read {
		list = append(list, value("another version", editID, grant.Document()), missing)
	}
	return list
}

// storedTokens are what an earlier run may have stored under a label.
func (s situation) storedTokens(a protocol.Action) []answer {
	id := a.ID
	if id == "" {
		id = storedID
	}
	right := s.served()
	right.Base, right.ObtainedAt, right.ExpiresAt = tokenID, now, s.ends(now)
	if s.kind == providers.Static {
		right.Credential, right.ExpiresAt = s.connected().APIKey, s.connected().ExpiresAt
	} else {
		right.Credential = providers.NewSecret("access-stored")
	}
	if s.kind == providers.OneTimePair || s.kind == providers.OneTimeCode {
		right = a.Run.Next.Token
	}
	based, moved, due := right, right, right
	based.Base, moved.BaseURL, due.ObtainedAt, due.ExpiresAt = "hikyaku-other", "https://elsewhere.test", now.Add(-s.life), now
	list := []answer{
		missing, value("for this version", id, right.Document()), value("for another version", id, based.Document()), value("for another address", id, moved.Document()),
		value("unreadable", id, []byte(unreadableID)), failed,
	}
	if s.life > 0 && s.kind == providers.ClientCredentials {
		list = append(list, value("due itself", id, due.Document()))
	}
	if a.Do == protocol.Read {
		list = append(list, value("the current version", a.Run.TokenVersion, right.Document()))
	}
	return list
}

// storedGrants are what an earlier run, or the other driver, may have stored.
func (s situation) storedGrants(a protocol.Action) []answer {
	id := a.ID
	if id == "" {
		id = storedID
	}
	right := providers.Grant{Access: providers.NewSecret("access-stored"), Refresh: providers.NewSecret("refresh-stored"), ObtainedAt: now, ExpiresAt: s.ends(now), Base: recordID, Origin: s.recorded().Origin}
	based, bare := right, right
	based.Base, bare.Refresh = "hikyaku-other", providers.Secret{}
	list := []answer{
		missing, value("for this version", id, right.Document()), value("for another version", id, based.Document()),
		value("without refresh token", id, bare.Document()), value("unreadable", id, []byte(unreadableID)), failed,
	}
	if a.Do == protocol.Read {
		list = append(list, value("the current version", recordID, right.Document()))
	}
	return list
}

// edits are what a person may have done to the secret that is being promoted.
func (s situation) edits(a protocol.Action) []answer {
	token, grant := s.served(), s.recorded()
	token.Credential, grant.Access = providers.NewSecret("access-edited"), providers.NewSecret("access-edited")
	document := func(expires time.Time) []byte {
		token.ExpiresAt, grant.ExpiresAt = expires, expires
		if a.Part == protocol.TokenSecret {
			return token.Document()
		}
		return grant.Document()
	}
	return []answer{
		value("an edit", editID, document(now.Add(100*day))), value("an edit that has ended", editID, document(now)), value("an unreadable edit", editID, []byte(unreadableID)),
		value("no edit yet", a.Run.Next.Base, document(now.Add(100*day))), missing, failed,
	}
}

// show renders an action as the table does.
func show(a protocol.Action) string {
	parts := []string{string(a.Do)}
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	add(string(a.Part))
	add(string(a.Label))
	add(a.ID)
	if a.From != "" || a.Do == protocol.Promote {
		add("from " + a.From)
	}
	switch a.Do {
	case protocol.Obtain:
		x := a.Exchange
		add(fmt.Sprintf("with %q %q code=%t", x.Client.Reveal(), x.Credential.Reveal(), x.FromCode))
	case protocol.Probe:
		add(a.Token.Credential.Reveal())
	case protocol.Store:
		add(document(a.Data))
	case protocol.Notify:
		add(a.Event.Type + ": " + a.Event.Reason)
		if words := strings.Fields(a.Event.Steps); len(words) > 5 {
			add("(" + strings.Join(words[:5], " ") + " ...)")
		}
	case protocol.Finish:
		add(verdict(a.Run.Verdict))
	default:
	}
	if a.Warning != nil {
		add("warning: " + a.Warning.Text + strings.Join(a.Warning.Fields, " "))
	}
	return strings.Join(parts, " ")
}

// document renders what is stored.
func document(data []byte) string {
	if t, err := providers.ParseToken(data); err == nil {
		return fmt.Sprintf("{%s for %s, %v old, known end %t}", t.Credential.Reveal(), t.Base, now.Sub(t.ObtainedAt), !t.ExpiresAt.IsZero())
	}
	if g, err := providers.ParseGrant(data); err == nil {
		return fmt.Sprintf("{%s %s for %s of %s, known end %t}", g.Access.Reveal(), g.Refresh.Reveal(), g.Base, g.Origin, !g.ExpiresAt.IsZero())
	}
	return string(data)
}
