package supersaas_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	date := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	for name, tc := range map[string]struct {
		fault  sandbox.Fault
		kind   error
		status int
		wait   time.Duration
	}{
		"429 with seconds": {sandbox.Fault{Kind: sandbox.TooMany, RetryAfter: "30"}, providers.ErrRateLimited, 429, 30 * time.Second},
		"429 with a date":  {sandbox.Fault{Kind: sandbox.TooMany, RetryAfter: date}, providers.ErrRateLimited, 429, 88 * time.Second},
		"429 bare":         {sandbox.Fault{Kind: sandbox.TooMany}, providers.ErrRateLimited, 429, 0},
		"503":              {sandbox.Fault{Kind: sandbox.ServerFail, RetryAfter: "2"}, providers.ErrTemporary, 503, 2 * time.Second},
		"502 as HTML":      {sandbox.Fault{Kind: sandbox.BadGateway}, providers.ErrTemporary, 502, 0},
		"dropped":          {sandbox.Fault{Kind: sandbox.Dropped}, providers.ErrTemporary, 0, 0},
		"lost":             {sandbox.Fault{Kind: sandbox.Lost}, providers.ErrTemporary, 0, 0},
		"reset half-way":   {sandbox.Fault{Kind: sandbox.Reset}, providers.ErrTemporary, 200, 0},
		"401":              {sandbox.Fault{Kind: sandbox.Denied}, providers.ErrUnauthorized, 401, 0},
		"garbage":          {sandbox.Fault{Kind: sandbox.Garbage}, providers.ErrMalformed, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := account(3, "")
			s.Inject(tc.fault)
			_, err := collect(c.Users(ctx, supersaas.UsersQuery{}))
			wantKind(t, err, tc.kind, tc.status)
			if got := providers.RetryAfter(err); got < tc.wait || got > tc.wait+2*time.Second {
				t.Errorf("retry after %v, want %v", got, tc.wait)
			}
			if all := must(collect(c.Users(ctx, supersaas.UsersQuery{}))); len(all) != 3 {
				t.Errorf("%d users afterwards", len(all))
			}
		})
	}
}

func TestAnswersThatBreakTheDocuments(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"HTML": "  <!DOCTYPE html><title>Log in</title>", "truncated": `[{"id":1,"name":"山`, "not UTF-8": "[{\"id\":1,\"name\":\"\xff\xfe\"}]",
		"empty": "", "text": "OK", "an object": `{"users":[]}`, "no id": `[{"name":"a"}]`, "null in a list": `[null]`, "two values": `[] []`,
	} {
		c := (&answering{body: body}).client("")
		_, err := collect(c.Users(ctx, supersaas.UsersQuery{}))
		want := providers.ErrMalformed
		if name == "not UTF-8" {
			want = providers.ErrInvalid // one record, beside whose bytes nothing is wrong
		}
		t.Run(name, func(t *testing.T) { wantKind(t, err, want, 200) })
		_, err = c.GetUser(ctx, supersaas.ID(1), false)
		wantKind(t, err, providers.ErrInvalid, 200)
	}
	page := strings.Repeat(" ", 1000) + "[]"
	token := providers.Token{BaseURL: base, Credential: providers.NewSecret(keyCanary)}
	for limit, fine := range map[int64]bool{1001: false, 1002: true} {
		o := unpaced(&http.Client{Transport: &answering{body: page}})
		o.MaxBody = limit
		_, err := collect(supersaas.New(providers.Fixed(token), o).Users(ctx, supersaas.UsersQuery{}))
		if fine != (err == nil) || !fine && !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("cap of %d: %v", limit, err)
		}
	}
	if err := (&answering{body: "<html>"}).client("").DeleteUser(ctx, supersaas.ID(1), supersaas.WriteOptions{}); !errors.Is(err, providers.ErrInvalid) {
		t.Errorf("a page as the answer to a deletion: %v", err)
	}
	same := &answering{body: `[{"id":1,"name":"a"}]`}
	_, err := collect(same.client("").Users(ctx, supersaas.UsersQuery{}))
	if !errors.Is(err, providers.ErrInvalid) || len(same.sent) != 2 {
		t.Errorf("a server that ignores offset: %v after %d requests", err, len(same.sent))
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]error{
		400: providers.ErrInvalid, 401: providers.ErrUnauthorized, 403: providers.ErrForbidden, 404: providers.ErrNotFound,
		405: providers.ErrInvalid, 409: providers.ErrDuplicate, 422: providers.ErrInvalid, 501: providers.ErrInvalid, 500: providers.ErrTemporary,
	} {
		for _, body := range []string{`{"errors":[{"status":"400","title":"` + keyCanary + `"}]}`, `{"errors":{"name":["山田 has already been taken"]}}`, "text", "<html>"} {
			_, err := (&answering{status: status, body: body}).client("").CreateUser(ctx, "", supersaas.Fields{"name": "山田"}, supersaas.WriteOptions{})
			wantKind(t, err, kind, status)
			if status == 422 && errors.Is(err, providers.ErrDuplicate) {
				t.Error("a 422 without duplicate=raise is a duplicate")
			}
		}
	}
}

// TestPace lets 9 pings through in no less than 2 s, and none of them meets
// the account's limit.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := supersaastest.New(sandbox.Options{Records: -1})
		c := supersaas.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: s.Client(), Attempts: 1})
		start := time.Now()
		for range 9 {
			if err := c.Ping(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("9 requests took %v", took)
		}
		s.Client()
		unpaced := supersaas.New(providers.Fixed(s.Token(base)), unpaced(s.Client()))
		time.Sleep(time.Second)
		var last error
		for range 6 {
			last = unpaced.Ping(ctx)
		}
		wantKind(t, last, providers.ErrRateLimited, 429)
	})
}

// TestCreationIsNotRepeated: whether a lost creation took effect is unknown.
func TestCreationIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := supersaastest.New(sandbox.Options{Records: -1, Rate: -1})
		c := supersaas.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: s.Client()})
		s.Inject(sandbox.Fault{Kind: sandbox.Lost})
		_, err := c.CreateUser(ctx, "", supersaas.Fields{"name": "a"}, supersaas.WriteOptions{})
		wantKind(t, err, providers.ErrTemporary, 0)
		if len(s.UserIDs()) != 1 || s.Count("POST /api/users.json") != 1 {
			t.Errorf("%d users after %d requests", len(s.UserIDs()), s.Count("POST /api/users.json"))
		}
		s.Inject(sandbox.Fault{Kind: sandbox.Lost, Times: 2})
		must(c.UpdateUser(ctx, supersaas.Name("a"), supersaas.Fields{"full_name": "x"}, supersaas.WriteOptions{}))
		if n := s.Count("PUT /api/users/{key}"); n != 3 {
			t.Errorf("%d updates", n)
		}
	})
}

// renewing hands out a working token after the first was rejected.
type renewing struct{ old, next providers.Token }

func (r renewing) Token(context.Context) (providers.Token, error) { return r.old, nil }

func (r renewing) Rejected(context.Context, providers.Token) (providers.Token, error) {
	return r.next, nil
}

func TestRejectedKeyIsReplacedOnce(t *testing.T) {
	t.Parallel()
	s, _ := account(2, "")
	old := s.Token(base)
	s.RollKey()
	c := supersaas.New(renewing{old, s.Token(base)}, unpaced(s.Client()))
	if all := must(collect(c.Users(ctx, supersaas.UsersQuery{Name: "x"}))); len(all) != 0 || s.Count("") != 2 {
		t.Errorf("%d requests", s.Count(""))
	}
}
