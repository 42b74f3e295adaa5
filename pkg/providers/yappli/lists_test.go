package yappli_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/yappli"
)

// TestLists_Lies tells every lie in every form of the list.
func TestLists_Lies(t *testing.T) {
	t.Parallel()
	a, b := `{"id":"1001","column01":"é"}`, `{"id":"1002","column01":"é"}`
	for shape, l := range map[string]canned.List{
		yappli.ShapeTable:      {Key: "members", Good: `{"members":[{"member":` + a + `},{"member":` + b + `}]}`},
		yappli.ShapeFlat:       {Key: "members", Good: `{"members":[` + a + `,` + b + `],"total":2,"current_page":1,"last_page":1}`},
		yappli.ShapeInner:      {Key: "members", Good: `{"members":{"member":[` + a + `,` + b + `]}}`},
		yappli.ShapeMember:     {Key: "member", Good: `{"member":[` + a + `,` + b + `]}`},
		yappli.ShapeArrayTable: {Good: `[{"member":` + a + `},{"member":` + b + `}]`},
		yappli.ShapeArray:      {Good: `[` + a + `,` + b + `]`},
	} {
		t.Run(shape, func(t *testing.T) {
			for _, held := range []string{"", shape} {
				l.Name = shape + " held to " + held
				l.Read = func(ctx context.Context, h *http.Client) (jsonscan.List, error) {
					list, err := yappli.New(providers.Fixed(providers.Token{BaseURL: base}), &providers.Options{HTTP: h, Limiter: noLimit{}}).
						ReadUsers(ctx, yappli.UsersQuery{Shape: held})
					if err == nil && list.Shape != shape {
						t.Errorf("%s: the answer has the shape %q", l.Name, list.Shape)
					}
					return list, err
				}
				canned.TestList(t, l)
			}
		})
	}
}

// A run is held to the shape of its first answer, or to the quirk's.
func TestReadUsers_HoldsARunToAShape(t *testing.T) {
	t.Parallel()
	flat, table := `{"members":[{"id":"1"}]}`, `{"members":[{"member":{"id":"1"}}]}`
	for _, c := range []struct {
		quirks, shape, body, want string
		kind                      error
	}{
		{`{}`, "", flat, yappli.ShapeFlat, nil},
		{`{}`, "", table, yappli.ShapeTable, nil},
		{`{}`, "", `{"members":[]}`, "", nil},
		{`{}`, "", `{"members":{"member":[]}}`, yappli.ShapeInner, nil},
		{`{}`, "", `{"members":null}`, "", nil},
		{`{}`, yappli.ShapeFlat, flat, yappli.ShapeFlat, nil},
		{`{}`, yappli.ShapeFlat, table, "", providers.ErrMalformed},
		{`{}`, yappli.ShapeTable, flat, "", providers.ErrMalformed},
		{`{}`, yappli.ShapeTable, `{"members":[]}`, yappli.ShapeTable, nil},
		{`{"list":"members[]"}`, "", table, "", providers.ErrMalformed},
		{`{"list":"members[]"}`, "", flat, yappli.ShapeFlat, nil},
		{`{"list":"members[]"}`, yappli.ShapeTable, table, yappli.ShapeTable, nil}, // of the run's plan
		{`{"list":"members"}`, "", flat, "", providers.ErrInvalid},
		{`{}`, "members", flat, "", providers.ErrInvalid},
	} {
		list, err := scripted(t, c.quirks, http.StatusOK, c.body).ReadUsers(t.Context(), yappli.UsersQuery{Shape: c.shape})
		if list.Shape != c.want || !errors.Is(err, c.kind) || c.kind == nil && err != nil || list.Null != (err == nil && strings.Contains(c.body, "null")) {
			t.Errorf("%s, %q, %s: shape %q, %v", c.quirks, c.shape, c.body, list.Shape, err)
		}
	}
	// The iterator is held to the first page's, too.
	transport := &canned.Turns{Answers: []canned.Lie{{Body: flat}, {Body: table}}}
	c := yappli.New(providers.Fixed(providers.Token{BaseURL: base}), &providers.Options{HTTP: &http.Client{Transport: transport}, Limiter: noLimit{}, Attempts: 1})
	if members, err := all(t, c); len(members) != 1 || !errors.Is(err, providers.ErrMalformed) {
		t.Errorf("%d members, %v", len(members), err)
	}
}

func TestDecodeMember(t *testing.T) {
	t.Parallel()
	m, err := yappli.DecodeMember([]byte(fullMember))
	if err != nil || m.ID != "1001" || m.Column(1) != "山田 花子" {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{``, `[]`, `"x"`, `{}`, `{"id":""}`, `{"id":null}`, `null`} {
		if _, err := yappli.DecodeMember([]byte(bad)); !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
