package sandbox_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

var start = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func TestTokens_Life(t *testing.T) {
	t.Parallel()
	tokens := &sandbox.Tokens{Life: time.Hour}
	access, refresh := tokens.Issue(start)
	if access == refresh || access == "" || refresh == "" {
		t.Errorf("%q %q", access, refresh)
	}
	end := start.Add(time.Hour)
	if !tokens.Valid(access, start) || !tokens.Valid(access, end.Add(-1)) || tokens.Valid(access, end) || tokens.Valid(refresh, start) || tokens.Valid("", start) {
		t.Error("the life is not its hour")
	}
	endless := &sandbox.Tokens{}
	access, _ = endless.Issue(start)
	if !endless.Valid(access, start.AddDate(100, 0, 0)) {
		t.Error("a token without an end has ended")
	}
	another, _ := tokens.Issue(start)
	if another == access || !tokens.Valid(another, start) || tokens.Issued() != 2 || tokens.Redeemed() != 0 {
		t.Errorf("%d issued, %d redeemed", tokens.Issued(), tokens.Redeemed())
	}
}

func TestTokens_NewRevokesOld(t *testing.T) {
	t.Parallel()
	for _, revokes := range []bool{true, false} {
		tokens := &sandbox.Tokens{NewRevokesOld: revokes}
		first, _ := tokens.Issue(start)
		second, _ := tokens.Issue(start)
		if tokens.Valid(first, start) == revokes || !tokens.Valid(second, start) {
			t.Errorf("revokes %v: first %v second %v", revokes, tokens.Valid(first, start), tokens.Valid(second, start))
		}
	}
}

// A refresh token works once. Used twice, it takes its whole family with it,
// the newest tokens included, and no other family.
func TestTokens_ReuseRevokesTheFamily(t *testing.T) {
	t.Parallel()
	tokens := &sandbox.Tokens{}
	access, refresh := tokens.Issue(start)
	stranger, strangersRefresh := tokens.Issue(start)
	second, next, ok := tokens.Redeem(refresh, start)
	if !ok || !tokens.Valid(second, start) || !tokens.Valid(access, start) || tokens.Redeemed() != 1 {
		t.Errorf("a first use: %v", ok)
	}
	third, newest, ok := tokens.Redeem(next, start)
	if !ok || !tokens.Valid(third, start) {
		t.Error("the next one does not work")
	}
	if a, r, ok := tokens.Redeem(refresh, start); ok || a != "" || r != "" || tokens.Redeemed() != 2 {
		t.Error("a second use was accepted")
	}
	for _, gone := range []string{access, second, third} {
		if tokens.Valid(gone, start) {
			t.Errorf("%s survived its family", gone)
		}
	}
	if _, _, ok := tokens.Redeem(newest, start); ok {
		t.Error("the newest refresh token survived its family")
	}
	if !tokens.Valid(stranger, start) {
		t.Error("a stranger's token was revoked")
	}
	if _, _, ok := tokens.Redeem(strangersRefresh, start); !ok {
		t.Error("a stranger's refresh token was revoked")
	}
	if _, _, ok := tokens.Redeem("unknown", start); ok {
		t.Error("an unknown refresh token was accepted")
	}
}

func TestTokens_RefreshGrace(t *testing.T) {
	t.Parallel()
	for age, works := range map[time.Duration]bool{
		0: true, 59 * time.Minute: true, time.Hour: true, 3*time.Hour - 1: true, 3 * time.Hour: false, 4 * time.Hour: false,
	} {
		tokens := &sandbox.Tokens{Life: time.Hour, RefreshGrace: 2 * time.Hour}
		_, refresh := tokens.Issue(start)
		if _, _, ok := tokens.Redeem(refresh, start.Add(age)); ok != works {
			t.Errorf("at age %v: %v", age, ok)
		}
	}
}

func TestTokens_Codes(t *testing.T) {
	t.Parallel()
	tokens := &sandbox.Tokens{Life: time.Hour}
	tokens.AddCode("a")
	if _, _, ok := tokens.Exchange("b", start); ok {
		t.Error("an unknown code was accepted")
	}
	access, refresh, ok := tokens.Exchange("a", start)
	if !ok || !tokens.Valid(access, start) || tokens.Redeemed() != 1 {
		t.Error("a code was refused")
	}
	if _, _, ok := tokens.Exchange("a", start); ok || tokens.Redeemed() != 1 {
		t.Error("a code was accepted twice")
	}
	if _, _, ok := tokens.Redeem(refresh, start); !ok || tokens.Redeemed() != 2 {
		t.Error("the code's refresh token was refused")
	}
}

func TestTokens_AcceptAndRevoke(t *testing.T) {
	t.Parallel()
	tokens := &sandbox.Tokens{Life: time.Hour}
	tokens.Accept("pasted", time.Time{})
	tokens.Accept("ending", start.Add(time.Minute))
	issued, _ := tokens.Issue(start)
	if !tokens.Valid("pasted", start.AddDate(1, 0, 0)) || !tokens.Valid("ending", start) || tokens.Valid("ending", start.Add(time.Minute)) {
		t.Error("accepted tokens live otherwise than said")
	}
	tokens.Revoke("pasted")
	if tokens.Valid("pasted", start) || !tokens.Valid(issued, start) {
		t.Error("another token was revoked")
	}
	tokens.Revoke("")
	if tokens.Valid(issued, start) || tokens.Valid("ending", start) {
		t.Error("not all were revoked")
	}
	if next, _ := tokens.Issue(start); !tokens.Valid(next, start) {
		t.Error("a token issued after it was revoked, too")
	}
}

// However many spend one credential at once, one of them gets it.
func TestTokens_OneWinner(t *testing.T) {
	t.Parallel()
	tokens := &sandbox.Tokens{}
	tokens.AddCode("code")
	var mu sync.Mutex
	won := map[string]int{}
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if _, _, ok := tokens.Exchange("code", start); ok {
				mu.Lock()
				won["code"]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if fmt.Sprint(won) != "map[code:1]" || tokens.Redeemed() != 1 {
		t.Errorf("%v, %d redeemed", won, tokens.Redeemed())
	}
}
