package providers_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

var vocabulary = []error{
	providers.ErrUnauthorized, providers.ErrRevoked, providers.ErrForbidden, providers.ErrRateLimited, providers.ErrTemporary,
	providers.ErrUnsent, providers.ErrNotFound, providers.ErrGone, providers.ErrInvalid, providers.ErrDuplicate, providers.ErrTooLarge,
	providers.ErrCertificate, providers.ErrMalformed,
}

func TestError_Text(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*providers.Error{
		"yappli users.update: rate limited (status 429)":                                 {Provider: "yappli", Op: "users.update", Status: 429, Kind: providers.ErrRateLimited, RetryAfter: time.Second},
		"shopline token.refresh: temporary failure: nothing was sent":                    {Provider: "shopline", Op: "token.refresh", Kind: providers.ErrUnsent},
		"x y: credential revoked: authorize again (status 400) [invalid_grant]":          {Provider: "x", Op: "y", Status: 400, Kind: providers.ErrRevoked, Code: "invalid_grant"},
		"x y: invalid request or answer (status 200) [c]: set the connection's base URL": {Provider: "x", Op: "y", Status: 200, Kind: providers.ErrInvalid, Code: "c", Detail: "set the connection's base URL"},
		"supersaas users.create: invalid request or answer: exists already (status 422)": {Provider: "supersaas", Op: "users.create", Status: 422, Kind: providers.ErrDuplicate},
		"actibook login: refused: check token, expiry or IP allow list (status 403)":     {Provider: "actibook", Op: "login", Status: 403, Kind: providers.ErrForbidden},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Each entry of the vocabulary is itself, and only those that are meant to be
// are others too.
func TestError_KindsAreApart(t *testing.T) {
	t.Parallel()
	also := map[error][]error{
		providers.ErrUnsent: {providers.ErrTemporary}, providers.ErrDuplicate: {providers.ErrInvalid}, providers.ErrTooLarge: {providers.ErrInvalid},
		providers.ErrCertificate: {providers.ErrUnsent, providers.ErrTemporary}, providers.ErrMalformed: {providers.ErrTemporary},
	}
	retryable := map[error]bool{
		providers.ErrRateLimited: true, providers.ErrTemporary: true, providers.ErrUnsent: true, providers.ErrCertificate: true, providers.ErrMalformed: true,
	}
	for _, kind := range vocabulary {
		err := fmt.Errorf("doing: %w", &providers.Error{Kind: kind})
		for _, other := range vocabulary {
			if want := kind == other || slices.Contains(also[kind], other); errors.Is(err, other) != want { //nolint:errorlint // the entries themselves
				t.Errorf("%v is %v: %v", kind, other, !want)
			}
		}
		if providers.Retryable(err) != retryable[kind] {
			t.Errorf("%v may be retried: %v", kind, !retryable[kind])
		}
		if !errors.Is(errors.Unwrap(&providers.Error{Kind: kind}), kind) {
			t.Errorf("%v is not unwrapped", kind)
		}
	}
	if !errors.Is(providers.ErrMalformed, jsonscan.ErrNotAList) {
		t.Error("a malformed answer is a list")
	}
	if providers.Retryable(nil) || providers.Retryable(errors.New("other")) {
		t.Error("anything may be retried")
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	e := &providers.Error{Kind: providers.ErrRateLimited, RetryAfter: 7 * time.Second}
	for err, want := range map[error]time.Duration{
		e: 7 * time.Second, fmt.Errorf("listing: %w", e): 7 * time.Second, errors.New("other"): 0, &providers.Error{Kind: providers.ErrTemporary}: 0,
	} {
		if got := providers.RetryAfter(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	if providers.RetryAfter(nil) != 0 {
		t.Error("a wait after success")
	}
}
