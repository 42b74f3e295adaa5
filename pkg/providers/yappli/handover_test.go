package yappli_test

import (
	"errors"
	"strings"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

func TestCheckHandover(t *testing.T) {
	t.Parallel()
	for _, withMember := range []bool{false, true} {
		s := quick(3)
		s.HandoverMember = withMember
		c := connect(s)
		token := s.IssueHandover("1002")
		check := func(token, id string) yappli.Handover {
			t.Helper()
			h, err := c.CheckHandover(t.Context(), providers.NewSecret(token), id)
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		h := check(token, "1002")
		if !h.Valid || (h.Member != nil) != withMember || withMember && h.Member.UniqueID != "shop-0000002" {
			t.Errorf("own token: %+v", h)
		}
		for _, c := range [][2]string{{token, "1001"}, {token, "9999"}, {"HO-unknown/../x?y", "1002"}} {
			if h := check(c[0], c[1]); h.Valid || h.Member != nil {
				t.Errorf("%q for %s: %+v", c[0], c[1], h)
			}
		}
	}
}

func TestHandoverAnswers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		valid, member bool
		kind          error
	}{
		`{"status":true}`:                                {true, false, nil},
		`{"status":"true"}`:                              {true, false, nil},
		`{"status":1}`:                                   {true, false, nil},
		`{"status":false}`:                               {false, false, nil},
		`{"status":null,"member":{"id":"8"}}`:            {true, true, nil},
		`{"status":"maybe"}`:                             {false, false, nil},
		`{"status":true,"member":null}`:                  {true, false, nil},
		`{"status":false,"member":null}`:                 {false, false, nil},
		`{"status":true,"member":null,"id":null}`:        {true, false, nil},
		`{"status":false,"id": null }`:                   {false, false, nil},
		`{"member":null}`:                                {false, false, providers.ErrInvalid},
		`{"status":true,"member":{"id":8}}`:              {true, true, nil},
		`{"status":true,"member":[]}`:                    {true, false, nil},
		`{"status":false,"member":{"id":"8"}}`:           {false, true, nil},
		`{"member":[{"id":"8"}]}`:                        {true, true, nil},
		`{"id":"8","unique_id":"x"}`:                     {true, true, nil},
		`{"status":true,"member":{"id":"7"}}`:            {false, false, providers.ErrInvalid},
		`{"status":true,"member":[{"id":"8"},{"id":8}]}`: {false, false, providers.ErrInvalid},
		`{"status":true,"member":"8"}`:                   {false, false, providers.ErrInvalid},
		`{"member":{"id":"7"}}`:                          {false, false, providers.ErrInvalid},
		`{"member":[]}`:                                  {false, false, providers.ErrInvalid},
		`{}`:                                             {false, false, providers.ErrInvalid},
		`true`:                                           {false, false, providers.ErrInvalid},
		`{"status":{}}`:                                  {false, false, providers.ErrInvalid},
		`<html>`:                                         {false, false, providers.ErrInvalid},
	} {
		h, err := scripted(t, ``, 200, body).CheckHandover(t.Context(), providers.NewSecret("HO-secret"), "8")
		if h.Valid != want.valid || (h.Member != nil) != want.member || !errors.Is(err, want.kind) {
			t.Errorf("%s: %+v, %v", body, h, err)
		}
	}
	_, err := scripted(t, ``, 400, `{"error":"HO-secret"}`).CheckHandover(t.Context(), providers.NewSecret("HO-secret"), "8")
	if !errors.Is(err, providers.ErrInvalid) || strings.Contains(err.Error(), "HO-secret") {
		t.Errorf("refused: %v", err)
	}
}

// FuzzHandover: whatever the answer, a yes is never about somebody else.
func FuzzHandover(f *testing.F) {
	for _, seed := range []string{`{"status":true}`, `{"status":true,"member":{"id":"7"}}`, `{"id":"8"}`, `{"member":[{"id":"8"}]}`, `[]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		h, err := scripted(t, ``, 200, body).CheckHandover(t.Context(), providers.NewSecret("HO"), "8")
		if err != nil && (!errors.Is(err, providers.ErrInvalid) || h.Valid) {
			t.Fatalf("%+v, %v", h, err)
		}
		if h.Member != nil && h.Member.ID != "8" {
			t.Fatalf("member %q for 8", h.Member.ID)
		}
	})
}
