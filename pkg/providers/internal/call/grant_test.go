package call_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

var sent = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func TestParseGrant(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]providers.Grant{
		`{"access_token":"a","refresh_token":"r","expires_in":86400}`:                          {Access: providers.NewSecret("a"), Refresh: providers.NewSecret("r"), ExpiresAt: sent.Add(24 * time.Hour)},
		`{"access_token":" a\n","refresh_token":null,"expires_in":null}`:                       {Access: providers.NewSecret("a")},
		"\xef\xbb\xbf" + `{"access_token":"a","expires_in":"1800","resource_owner_id":"64aa"}`: {Access: providers.NewSecret("a"), Account: "64aa", ExpiresAt: sent.Add(30 * time.Minute)},
		`{"access_token":"a","expires_in":1,"resource_owner_id":64}`:                           {Access: providers.NewSecret("a"), Account: "64", ExpiresAt: sent.Add(time.Second)},
		`{"access_token":"a","expires_in":0}`:                                                  {Access: providers.NewSecret("a")},
		`{"access_token":"a","expires_in":-5}`:                                                 {Access: providers.NewSecret("a")},
		`{"access_token":"a","expires_in":315360000}`:                                          {Access: providers.NewSecret("a"), ExpiresAt: sent.Add(3650 * 24 * time.Hour)},
		`{"access_token":"a","expires_in":315360001}`:                                          {Access: providers.NewSecret("a")},
		`{"access_token":"a","expires_in":9223372036854775807}`:                                {Access: providers.NewSecret("a")},
		`{"access_token":123,"token_type":"bearer","scope":""}`:                                {Access: providers.NewSecret("123")},
		`{"access_token":"a","error":"invalid_grant"}`:                                         {Access: providers.NewSecret("a")},
		// The code is spent: a token is kept whatever stands beside it.
		`{"access_token":"a","refresh_token":"r","expires_in":"2026-12-31 23:59:59"}`:  {Access: providers.NewSecret("a"), Refresh: providers.NewSecret("r")},
		`{"access_token":"a","expires_in":"soon","resource_owner_id":{"id":1}}`:        {Access: providers.NewSecret("a")},
		`{"access_token":"a","expires_in":{},"resource_owner_id":"x"}`:                 {Access: providers.NewSecret("a"), Account: "x"},
		`{"access_token":"a","refresh_token":["r"],"expires_in":60,"token_type":[{}]}`: {Access: providers.NewSecret("a"), ExpiresAt: sent.Add(time.Minute)},
	} {
		want.ObtainedAt = sent
		o := &providers.Options{HTTP: &http.Client{Transport: &scripted{replies: []reply{{body: body}}}}}
		response, err := call.Once(t.Context(), "test", "op", o, call.Request{URL: base})
		got, err := call.ParseGrant("test", "op", response, sent, err)
		if err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", body, got, err, want)
		}
	}
}

func TestParseGrant_Failures(t *testing.T) {
	t.Parallel()
	for body, c := range map[string]struct {
		kind error
		code string
	}{
		`{"error":"invalid_grant"}`:             {providers.ErrRevoked, "invalid_grant"},
		`{"error":"invalid_client"}`:            {providers.ErrRevoked, "invalid_client"},
		`{"error":"unauthorized_client"}`:       {providers.ErrRevoked, "unauthorized_client"},
		`{"error":"invalid_scope"}`:             {providers.ErrInvalid, "invalid_scope"},
		`{"error":"canary"}`:                    {providers.ErrInvalid, ""},
		`{"access_token":""}`:                   {providers.ErrInvalid, ""},
		`{"access_token":{}}`:                   {providers.ErrInvalid, ""},
		`{}`:                                    {providers.ErrInvalid, ""},
		`<html>canary</html>`:                   {providers.ErrInvalid, ""},
		``:                                      {providers.ErrInvalid, ""},
		`{"access_token":["a"],"expires_in":1}`: {providers.ErrInvalid, ""},
		`{"access_token":"a","expires_in":"soon"} and something`: {providers.ErrInvalid, ""},
	} {
		g, err := call.ParseGrant("test", "op", call.Response{Status: 200, Body: []byte(body)}, sent, nil)
		if e := kindOf(err); !errors.Is(err, c.kind) || e.Code != c.code || e.Status != 200 || e.Provider != "test" || e.Op != "op" || !g.Access.Empty() || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// A refusal that blames the credential is final; another one is not.
func TestParseGrant_Terminal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reply reply
		kind  error
	}{
		{reply{status: 400, body: `{"error":"invalid_grant"}`}, providers.ErrRevoked},
		{reply{status: 401, body: `{"error":"invalid_client"}`}, providers.ErrRevoked},
		{reply{status: 400, body: `{"error":"unauthorized_client"}`}, providers.ErrRevoked},
		{reply{status: 401}, providers.ErrRevoked},
		{reply{status: 401, body: `{"error":"invalid_request"}`}, providers.ErrUnauthorized},
		{reply{status: 400, body: `{"error":"invalid_request"}`}, providers.ErrInvalid},
		{reply{status: 400}, providers.ErrInvalid},
		{reply{status: 403, body: `{"error":"access_denied"}`}, providers.ErrForbidden},
		{reply{status: 429}, providers.ErrRateLimited},
		{reply{status: 500, body: "oops"}, providers.ErrTemporary},
	} {
		s := &scripted{replies: []reply{c.reply}}
		response, err := once(t.Context(), s, spending)
		_, err = call.ParseGrant("test", "op", response, sent, err)
		if !errors.Is(err, c.kind) || kindOf(err).Status != c.reply.status || errors.Is(err, providers.ErrRevoked) != errors.Is(c.kind, providers.ErrRevoked) {
			t.Errorf("%+v: %v, want %v", c.reply, err, c.kind)
		}
	}
	other := errors.New("other")
	if _, err := call.ParseGrant("test", "op", call.Response{}, sent, other); !errors.Is(err, other) {
		t.Error(err)
	}
}

type pager struct {
	pages [][]int
	asked []call.Position
	fails int // page that fails, from 1 on; 0: none
}

func (p *pager) fetch(_ context.Context, at call.Position) ([]int, error) {
	p.asked = append(p.asked, at)
	if p.fails == len(p.asked) {
		return nil, providers.ErrTemporary
	}
	if at.Index >= len(p.pages) {
		return nil, nil
	}
	return p.pages[at.Index], nil
}

func TestPages(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		pager pager
		stop  int // after so many items; 0: never
		items string
		asked string
		err   error
	}{
		"empty":             {pager{}, 0, "", "{0 0 }", nil},
		"short pages":       {pager{pages: [][]int{{1, 2}, {3}, {4, 5}}}, 0, "1 2 3 4 5 ", "{0 0 }{1 2 2}{2 3 3}{3 5 5}", nil},
		"an empty one ends": {pager{pages: [][]int{{1}, {}, {2}}}, 0, "1 ", "{0 0 }{1 1 1}", nil},
		"stopped":           {pager{pages: [][]int{{1, 2}, {3}}}, 2, "1 2 ", "{0 0 }", nil},
		"a failure":         {pager{pages: [][]int{{1, 2}, {3}}, fails: 2}, 0, "1 2 ", "{0 0 }{1 2 2}", providers.ErrTemporary},
		"the first fails":   {pager{fails: 1}, 0, "", "{0 0 }", providers.ErrTemporary},
		"paging ignored":    {pager{pages: [][]int{{1, 2}, {1, 2}, {1, 2}}}, 0, "1 2 ", "{0 0 }{1 2 2}", providers.ErrInvalid},
		"later":             {pager{pages: [][]int{{1}, {2, 3}, {2, 3}}}, 0, "1 2 3 ", "{0 0 }{1 1 1}{2 3 3}", providers.ErrInvalid},
		"an overlap":        {pager{pages: [][]int{{1, 2}, {2, 3}}}, 0, "1 2 2 3 ", "{0 0 }{1 2 2}{2 4 3}", nil},
	} {
		t.Run(what, func(t *testing.T) {
			var items string
			var last error
			errs, count := 0, 0
			for item, err := range call.Pages(t.Context(), c.pager.fetch, func(n int) string { return fmt.Sprint(n) }) {
				if err != nil {
					last = err
					errs++
					if item != 0 {
						t.Error("an item beside an error")
					}
					continue
				}
				items += fmt.Sprint(item, " ")
				if count++; count == c.stop {
					break
				}
			}
			if items != c.items || !errors.Is(last, c.err) || errs > 1 || fmt.Sprint(c.pager.asked) != "["+strings.ReplaceAll(c.asked, "}{", "} {")+"]" {
				t.Errorf("items %s, asked %v, %v (%d errors)", items, c.pager.asked, last, errs)
			}
			if what == "later" && !strings.Contains(last.Error(), "page 3 begins as the page before it") {
				t.Error(last)
			}
		})
	}
}

func FuzzParseGrant(f *testing.F) {
	f.Add([]byte(`{"access_token":"a","expires_in":"5"}`))
	f.Add([]byte(`{"error":"invalid_grant"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		g, err := call.ParseGrant("test", "op", call.Response{Status: 200, Body: body}, sent, nil)
		switch {
		case err == nil && !g.ExpiresAt.IsZero() && !g.ExpiresAt.After(sent):
			t.Errorf("%q: ends before it begins", body)
		case err != nil && kindOf(err).Provider != "test":
			t.Errorf("%q: %v", body, err)
		}
	})
}

// What stands around a token in the answer is none of it.
func TestParseGrant_Trims(t *testing.T) {
	t.Parallel()
	g, err := call.ParseGrant("yappli", "token", call.Response{Status: 200, Body: []byte(`{"access_token":" at\n","refresh_token":"\trt\u3000\r\n"}`)}, sent, nil)
	if err != nil || g.Access.Reveal() != "at" || g.Refresh.Reveal() != "rt" {
		t.Errorf("grant %q, %q, %v", g.Access.Reveal(), g.Refresh.Reveal(), err)
	}
}
