package yappli

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// The forms of a list's answer, by name. The documents print one table that
// can be read in several ways (顧客一覧), and the older and
// newer editions of the API differ.
const (
	ShapeTable      = "members[].member" // {"members":[{"member":{...}}]}, or an array in each "member" (顧客一覧)
	ShapeFlat       = "members[]"        // {"members":[{...}]} (third party, unverified)
	ShapeInner      = "members.member[]" // {"members":{"member":[...]}} (顧客一覧, read as an object)
	ShapeMember     = "member[]"         // {"member":[...]}, as a single user is typed (顧客詳細)
	ShapeArrayTable = "[].member"        // [{"member":{...}}]
	ShapeArray      = "[]"               // [{...}]
)

var (
	memberID = []string{"id"}
	shapes   = []jsonscan.Shape{
		{Name: ShapeTable, Path: []string{"members"}, Wrap: "member", ID: memberID},
		{Name: ShapeFlat, Path: []string{"members"}, ID: memberID},
		{Name: ShapeInner, Path: []string{"members", "member"}, ID: memberID},
		{Name: ShapeMember, Path: []string{"member"}, ID: memberID},
		{Name: ShapeArrayTable, Wrap: "member", ID: memberID},
		{Name: ShapeArray, ID: memberID},
	}
)

// shapeNames are the names of all shapes.
func shapeNames() []string {
	names := make([]string, 0, len(shapes))
	for _, s := range shapes {
		names = append(names, s.Name)
	}
	return names
}

// named returns the shape of a name, or all if it is empty.
func named(name string) []jsonscan.Shape {
	if name == "" {
		return shapes
	}
	i := slices.Index(shapeNames(), name)
	if i < 0 {
		return nil
	}
	return shapes[i : i+1]
}

// ReadUsers reads one page. The list ends at an empty one. Its shape is the
// query's, or the quirk's, or else the first of all under which the answer
// holds a user with an id: hold the pages that follow to List.Shape. Decode a
// record with DecodeMember.
func (c *Client) ReadUsers(ctx context.Context, q UsersQuery) (jsonscan.List, error) {
	return c.readUsers(ctx, func(Quirks) UsersQuery { return q })
}

func (c *Client) readUsers(ctx context.Context, query func(Quirks) UsersQuery) (jsonscan.List, error) {
	const op = "users.list"
	return c.call.List(ctx, op, func(t providers.Token) (call.ListRequest, error) {
		quirks, err := ParseQuirks(t.Quirks)
		if err != nil {
			return call.ListRequest{}, err
		}
		q := query(quirks)
		values, err := q.values(op, quirks)
		if err != nil {
			return call.ListRequest{}, err
		}
		shape := cmp.Or(q.Shape, quirks.List)
		r := call.ListRequest{Request: call.Request{Path: root + "/users", Query: values}, Shapes: named(shape), Others: shapes, Limit: q.limit(quirks)}
		if r.Shapes == nil {
			return r, refuse(op, "no list has the shape %q; there are %q", shape, shapeNames())
		}
		return r, nil
	})
}

// Users lists all users, page after page, in the provider's order, which it
// does not document. Users that appear or vanish meanwhile can shift a page's
// boundary, so a member may be missing or come twice. The first error is
// yielded once and ends the sequence.
func (c *Client) Users(ctx context.Context) iter.Seq2[Member, error] {
	shape := ""
	fetch := func(ctx context.Context, at call.Position) ([]Member, error) {
		list, err := c.readUsers(ctx, func(quirks Quirks) UsersQuery {
			if quirks.Paging == ByPage {
				return UsersQuery{Page: at.Index + 1, Shape: shape}
			}
			return UsersQuery{Offset: at.Offset, Shape: shape}
		})
		if err != nil {
			return nil, err
		}
		shape = cmp.Or(list.Shape, shape)
		return call.Records(providers.Yappli, "users.list", list, DecodeMember)
	}
	return call.Pages(ctx, fetch, func(m Member) string { return m.ID })
}
