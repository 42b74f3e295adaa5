package yappli

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// A UsersQuery says which page of the users to ask for, in the terms of the
// tenant's Quirks.Paging.
type UsersQuery struct {
	Limit  int // users on the page; 0: Quirks.PageSize
	Offset int // users before the page; must be 0 under ByPage
	Page   int // from 1, 0 means 1; must be 0 under ByOffset
	// Shape is the form of answer that the pages of one reading are held
	// to, such as ShapeTable; empty: the quirk's, or any.
	Shape string
}

func (q UsersQuery) values(op string, quirks Quirks) (url.Values, error) {
	limit := q.limit(quirks)
	if limit < 0 || q.Offset < 0 || q.Page < 0 {
		return nil, refuse(op, "limit, offset and page cannot be negative")
	}
	if quirks.Paging == ByPage {
		if q.Offset != 0 {
			return nil, refuse(op, "the tenant pages by number (quirk paging), so an offset cannot be asked for")
		}
		return url.Values{"page": {strconv.Itoa(max(q.Page, 1))}, "per_page": {strconv.Itoa(limit)}}, nil
	}
	if q.Page != 0 {
		return nil, refuse(op, "the tenant pages by offset (quirk paging), so a page number cannot be asked for")
	}
	return url.Values{"limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(q.Offset)}}, nil
}

// limit is how many users are asked for.
func (q UsersQuery) limit(quirks Quirks) int { return cmp.Or(q.Limit, quirks.PageSize) }

// User reads one user by Yappli's id.
func (c *Client) User(ctx context.Context, id string) (Member, error) {
	const op = "users.get"
	path, err := element(op, "id", id)
	if err != nil {
		return Member{}, err
	}
	return c.one(ctx, op, http.MethodGet, "/users"+path, nil, func(m Member) bool { return m.ID == id })
}

// UserByUniqueID reads one user by the shop's own id. It is refused unless the
// tenant has the route (quirk lookup): on a tenant without it, the 404 of a
// missing route would read as the 404 of a missing user, and a caller that
// then creates the user would double somebody.
func (c *Client) UserByUniqueID(ctx context.Context, uniqueID string) (Member, error) {
	const op = "users.by_unique_id"
	path, err := element(op, "unique_id", uniqueID)
	if err != nil {
		return Member{}, err
	}
	return c.one(ctx, op, http.MethodGet, "/users/unique_id"+path, nil, func(m Member) bool { return m.UniqueID == uniqueID })
}

// CreateUser creates a user; fields must hold a unique_id. It is never
// repeated after an unknown outcome (ErrTemporary), and nothing documents what
// a second creation with the same unique_id does: find out first whether the
// user exists.
func (c *Client) CreateUser(ctx context.Context, fields Fields) (Member, error) {
	const op = "users.create"
	uniqueID := fields["unique_id"].Text
	if uniqueID == "" {
		return Member{}, refuse(op, "a creation needs a unique_id")
	}
	return c.one(ctx, op, http.MethodPost, "/users", fields, func(m Member) bool { return m.UniqueID == uniqueID || m.UniqueID == "" })
}

// UpdateUser changes the user with Yappli's id. It never sends unique_id or
// point: fields that hold either are refused, and so are empty ones. What
// becomes of the fields not named is Quirks.Update.
func (c *Client) UpdateUser(ctx context.Context, id string, fields Fields) (Member, error) {
	const op = "users.update"
	path, err := element(op, "id", id)
	if err != nil {
		return Member{}, err
	}
	if _, ok := fields["unique_id"]; ok {
		return Member{}, refuse(op, "an update never sends unique_id")
	}
	if len(fields) == 0 {
		return Member{}, refuse(op, "an update needs at least one field")
	}
	return c.one(ctx, op, http.MethodPut, "/users"+path, fields, func(m Member) bool { return m.ID == id })
}

// one makes a call about one user and checks that the answer is about the
// user that was meant.
func (c *Client) one(ctx context.Context, op, method, path string, fields Fields, meant func(Member) bool) (Member, error) {
	if err := fields.check(op); err != nil {
		return Member{}, err
	}
	answer, err := c.do(ctx, op, func(quirks Quirks) (call.Request, error) {
		if op == "users.by_unique_id" && quirks.Lookup != LookupUniqueID {
			return call.Request{}, refuse(op, "the tenant is not known to have this route; set the quirk lookup to unique_id if it has")
		}
		request := call.Request{Method: method, Path: root + path}
		if method == http.MethodGet {
			return request, nil
		}
		var err error
		request.Body, err = fields.body(quirks.Body)
		return request, err
	})
	if err != nil {
		return Member{}, err
	}
	members, err := DecodeUsers(answer.Body)
	switch {
	case err != nil:
		return Member{}, malformed(op, answer.Status, err)
	case len(members) == 0 && method == http.MethodGet:
		return Member{}, &providers.Error{Provider: providers.Yappli, Op: op, Status: answer.Status, Kind: providers.ErrNotFound}
	case len(members) != 1 || !meant(members[0]):
		return Member{}, &providers.Error{Provider: providers.Yappli, Op: op, Status: answer.Status, Kind: providers.ErrInvalid,
			Detail: "the answer is not about the one user that was meant"}
	}
	return members[0], nil
}

// do sends what build makes from the quirks of the token in use.
func (c *Client) do(ctx context.Context, op string, build func(Quirks) (call.Request, error)) (call.Response, error) {
	return c.call.Do(ctx, op, func(t providers.Token) (call.Request, error) {
		quirks, err := ParseQuirks(t.Quirks)
		if err != nil {
			return call.Request{}, err
		}
		return build(quirks)
	})
}
