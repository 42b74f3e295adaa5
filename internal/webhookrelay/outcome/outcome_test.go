package outcome_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/pkg/providers"
)

func fault(kind error, status int) error {
	return fmt.Errorf("wrapped: %w", &providers.Error{Provider: "yappli", Op: "users.create", Kind: kind, Status: status})
}

func TestEffectOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want outcome.Effect
	}{
		"no request was made":         {errors.New("reading the token"), outcome.NoEffect},
		"no connection":               {fault(providers.ErrUnsent, 0), outcome.NoEffect},
		"rate limited":                {fault(providers.ErrRateLimited, 429), outcome.NoEffect},
		"unauthorized":                {fault(providers.ErrUnauthorized, 401), outcome.NoEffect},
		"forbidden":                   {fault(providers.ErrForbidden, 403), outcome.NoEffect},
		"revoked":                     {fault(providers.ErrRevoked, 400), outcome.NoEffect},
		"refused":                     {fault(providers.ErrInvalid, 400), outcome.RefusedEffect},
		"not found":                   {fault(providers.ErrNotFound, 404), outcome.RefusedEffect},
		"last client fault":           {fault(providers.ErrInvalid, 499), outcome.RefusedEffect},
		"refused by the client":       {fault(providers.ErrInvalid, 0), outcome.RefusedEffect},
		"request time-out":            {fault(providers.ErrTemporary, 408), outcome.UnknownEffect},
		"accepted, answer unreadable": {fault(providers.ErrInvalid, 200), outcome.UnknownEffect},
		"redirected":                  {fault(providers.ErrInvalid, 399), outcome.UnknownEffect},
		"server failure":              {fault(providers.ErrTemporary, 500), outcome.UnknownEffect},
		"not implemented":             {fault(providers.ErrInvalid, 501), outcome.UnknownEffect},
		"no answer":                   {fault(providers.ErrTemporary, 0), outcome.UnknownEffect},
	} {
		if got := outcome.EffectOf(c.err); got != c.want {
			t.Errorf("%s: effect %d, want %d", name, got, c.want)
		}
	}
}

func TestFaultOf(t *testing.T) {
	t.Parallel()
	slow := &providers.Error{Kind: providers.ErrTemporary, RetryAfter: 7 * time.Second}
	for name, c := range map[string]struct {
		err   error
		class outcome.Class
		after time.Duration
	}{
		"conflict":     {fmt.Errorf("x: %w", objectstore.ErrConflict), "contended", 0},
		"rate limited": {&providers.Error{Kind: providers.ErrRateLimited, RetryAfter: time.Minute}, "rate_limited", time.Minute},
		"credential":   {fault(providers.ErrUnauthorized, 401), "credential", 0},
		"forbidden":    {fault(providers.ErrForbidden, 403), "credential", 0},
		"revoked":      {fault(providers.ErrRevoked, 400), "credential", 0},
		"temporary":    {slow, "temporary", 7 * time.Second},
		"canceled":     {context.Canceled, "temporary", 0},
		"out of time":  {context.DeadlineExceeded, "temporary", 0},
		"invalid":      {fault(providers.ErrInvalid, 200), "bad_answer", 0},
		"not found":    {fault(providers.ErrNotFound, 404), "bad_answer", 0},
		"gone":         {fault(providers.ErrGone, 410), "bad_answer", 0},
		"store":        {objectstore.ErrDenied, "store", 0},
	} {
		got := outcome.FaultOf(c.err)
		if got.Action != outcome.Retry || got.Class != c.class || got.After != c.after || !errors.Is(got.Err, c.err) {
			t.Errorf("%s: %+v, want a retry of class %s after %v", name, got, c.class, c.after)
		}
	}
}

func TestPauseFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		after    time.Duration
		receives int
		user     int64
		want     time.Duration
	}{
		{0, 0, 0, 5 * time.Second},
		{0, 1, 0, 5 * time.Second},
		{0, 2, 0, 10 * time.Second},
		{0, 2, 10, 9 * time.Second},
		{0, 2, 19, 8100 * time.Millisecond},
		{0, 2, 20, 10 * time.Second},
		{0, 10, 0, 2560 * time.Second},
		{0, 11, 0, time.Hour},
		{0, 5000, 0, time.Hour},
		{time.Minute, 1, 0, time.Minute},
		{time.Second, 1, 0, 5 * time.Second},
		{24 * time.Hour, 1, 0, time.Hour},
	} {
		if got := (outcome.Outcome{After: c.after}).Pause(c.receives, c.user); got != c.want {
			t.Errorf("Pause(%v, %d, %d) = %v, want %v", c.after, c.receives, c.user, got, c.want)
		}
	}
	// The receive limit of 150 lasts for a three-day outage.
	var total time.Duration
	for n := 1; n < 150; n++ {
		total += outcome.Outcome{}.Pause(n, 19)
	}
	if total < 72*time.Hour {
		t.Errorf("150 receipts last %v, want three days", total)
	}
}
