package sandbox

import (
	"fmt"
	"sync"
	"time"
)

// Tokens issues, checks, rotates and revokes a sandbox's tokens. It is safe
// for concurrent use.
type Tokens struct {
	Life          time.Duration // of an access token; 0: no end
	RefreshGrace  time.Duration // how long a refresh token outlives its access token
	NewRevokesOld bool          // issuing a token ends all earlier ones

	keep    *Section
	trouble *troublemaker // nil: none

	mu       sync.Mutex
	serial   int
	access   map[string]*grant
	refresh  map[string]*grant
	codes    map[string]bool // false: spent
	redeemed int
	issued   int
}

type grant struct {
	access, refresh string // the latter is empty if there is none

	family  int
	made    time.Time // zero: by another process
	expires time.Time // zero: never
	spent   bool      // its refresh token was used
	revoked bool
}

// Issue makes a new access and refresh token of a new family.
func (t *Tokens) Issue(now time.Time) (access, refresh string) {
	defer t.keep.Commit()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.serial++
	return t.issue(now, t.serial)
}

func (t *Tokens) issue(now time.Time, family int) (access, refresh string) {
	if t.access == nil {
		t.access, t.refresh = map[string]*grant{}, map[string]*grant{}
	}
	if t.NewRevokesOld {
		for _, g := range t.access {
			t.revoke(g)
		}
	}
	t.issued++
	g := &grant{family: family, made: now}
	if t.Life > 0 {
		g.expires = now.Add(t.Life)
	}
	access, refresh = fmt.Sprintf("AT-%06d-%032x", t.issued, t.issued*7919), fmt.Sprintf("RT-%06d-%032x", t.issued, t.issued*104729)
	g.access, g.refresh = access, refresh
	t.access[access], t.refresh[refresh] = g, g
	t.note(g)
	t.noteCounts()
	return access, refresh
}

// Valid reports whether an access token works at now.
func (t *Tokens) Valid(access string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.access[access]
	return g != nil && !g.revoked && (g.expires.IsZero() || now.Before(g.expires)) && !t.trouble.Ended(g.made)
}

// LifeNow is how long a token lives that is issued now, as its expires_in has to say;
// 0: no end.
func (t *Tokens) LifeNow() time.Duration { return t.trouble.shortened(t.Life) }

// Accept makes a token of the caller's choosing valid, as if a person had
// generated it. A zero expires means never.
func (t *Tokens) Accept(access string, expires time.Time) {
	defer t.keep.Commit()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.access == nil {
		t.access, t.refresh = map[string]*grant{}, map[string]*grant{}
	}
	t.serial++
	t.access[access] = &grant{access: access, family: t.serial, expires: expires, made: t.trouble.time()}
	t.note(t.access[access])
	t.noteCounts()
}

// Redeem spends a refresh token. Spending one twice revokes its whole family,
// the newest tokens included.
func (t *Tokens) Redeem(refresh string, now time.Time) (access, next string, ok bool) {
	defer t.keep.Commit()
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.refresh[refresh]
	if g == nil || g.revoked {
		return "", "", false
	}
	if g.spent {
		t.revokeFamily(g.family)
		return "", "", false
	}
	if !g.expires.IsZero() && !now.Before(g.expires.Add(t.RefreshGrace)) {
		return "", "", false
	}
	g.spent = true
	t.note(g)
	t.redeemed++
	access, next = t.issue(now, g.family)
	return access, next, true
}

// AddCode registers a one-time authorization code.
func (t *Tokens) AddCode(code string) {
	defer t.keep.Commit()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.codes == nil {
		t.codes = map[string]bool{}
	}
	t.codes[code] = true
	t.noteCode(code)
}

// Exchange spends a code.
func (t *Tokens) Exchange(code string, now time.Time) (access, refresh string, ok bool) {
	defer t.keep.Commit()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.codes[code] {
		return "", "", false
	}
	t.codes[code] = false
	t.noteCode(code)
	t.redeemed++
	t.serial++
	access, refresh = t.issue(now, t.serial)
	return access, refresh, true
}

// Revoke ends an access token at once; an empty one ends all.
func (t *Tokens) Revoke(access string) {
	defer t.keep.Commit()
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, g := range t.access {
		if access == "" || name == access {
			t.revoke(g)
		}
	}
}

// Issued counts the tokens issued, Redeemed the one-time credentials spent.
func (t *Tokens) Issued() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.issued
}

// Redeemed counts the one-time credentials, codes and refresh tokens, that
// were accepted.
func (t *Tokens) Redeemed() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.redeemed
}

func (t *Tokens) revokeFamily(family int) {
	for _, grants := range []map[string]*grant{t.access, t.refresh} {
		for _, g := range grants {
			if g.family == family {
				t.revoke(g)
			}
		}
	}
}
