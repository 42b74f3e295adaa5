package sandbox

import (
	"strings"
	"time"
)

// What Tokens keep, by the beginning of the key.
const (
	grantKey  = "grant/" // and the access token
	codeKey   = "code/"  // and the code
	countsKey = "counts"
)

// keptGrant is one pair of tokens, one code or the counts.
type keptToken struct {
	Refresh string    `json:"refresh,omitempty"`
	Family  int       `json:"family,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	Spent   bool      `json:"spent,omitempty"` // also of a code
	Revoked bool      `json:"revoked,omitempty"`

	Serial   int `json:"serial,omitempty"`
	Issued   int `json:"issued,omitempty"`
	Redeemed int `json:"redeemed,omitempty"`
}

// KeepIn takes over the tokens that a section holds, and keeps in it what becomes of
// them. Call it before the first token is made.
func (t *Tokens) KeepIn(s *Section) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep = s
	t.access, t.refresh, t.codes = map[string]*grant{}, map[string]*grant{}, map[string]bool{}
	Each(s, func(key string, kept keptToken) {
		if key == countsKey {
			t.serial, t.issued, t.redeemed = kept.Serial, kept.Issued, kept.Redeemed
			return
		}
		if code, ok := strings.CutPrefix(key, codeKey); ok {
			t.codes[code] = !kept.Spent
			return
		}
		g := &grant{access: strings.TrimPrefix(key, grantKey), refresh: kept.Refresh, family: kept.Family, expires: kept.Expires, spent: kept.Spent, revoked: kept.Revoked}
		t.access[g.access] = g
		if g.refresh != "" {
			t.refresh[g.refresh] = g
		}
	})
}

// note and its like are called with the lock held.
func (t *Tokens) note(g *grant) {
	t.keep.Put(grantKey+g.access, keptToken{Refresh: g.refresh, Family: g.family, Expires: g.expires, Spent: g.spent, Revoked: g.revoked})
}

func (t *Tokens) noteCode(code string) { t.keep.Put(codeKey+code, keptToken{Spent: !t.codes[code]}) }

func (t *Tokens) noteCounts() {
	t.keep.Put(countsKey, keptToken{Serial: t.serial, Issued: t.issued, Redeemed: t.redeemed})
}

func (t *Tokens) revoke(g *grant) {
	if !g.revoked {
		g.revoked = true
		t.note(g)
	}
}
