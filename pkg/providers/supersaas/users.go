package supersaas

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

const usersPath = "/api/users"

// A UsersQuery selects a page of users.
type UsersQuery struct {
	Limit  int    // 0: the provider's default of 100; at most MaxLimit
	Offset int    // users to skip
	Form   bool   // with each user's form
	Name   string // only the user of this login name; empty: all
}

func (q UsersQuery) values() url.Values {
	v := pageValues(q.Limit, q.Offset)
	if q.Form {
		v.Set("form", "true")
	}
	if q.Name != "" {
		v.Set("user[name]", q.Name)
	}
	return v
}

func pageValues(limit, offset int) url.Values {
	v := url.Values{}
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	if offset > 0 {
		v.Set("offset", strconv.Itoa(offset))
	}
	return v
}

// ReadUsers reads one page of users. The list ends at an empty one.
func (c *Client) ReadUsers(ctx context.Context, q UsersQuery) (jsonscan.List, error) {
	return c.list(ctx, "users.list", operation{path: usersPath + ".json", query: q.values(), user: q.Name}, q.Limit, usersShape)
}

// Users yields all users from q.Offset on, in pages of q.Limit (0: MaxLimit).
// The order is not documented, and a user deleted meanwhile makes the list
// skip another: compare ids, and list again where that matters.
func (c *Client) Users(ctx context.Context, q UsersQuery) iter.Seq2[User, error] {
	q.Limit = cmp.Or(q.Limit, MaxLimit)
	fetch := func(ctx context.Context, at call.Position) ([]User, error) {
		if q.Name != "" && at.Index > 0 {
			return nil, nil // one name is one user; asking again would find the same
		}
		next := q
		next.Offset += at.Offset
		list, err := c.ReadUsers(ctx, next)
		if err != nil {
			return nil, err
		}
		return call.Records(providers.SuperSaaS, "users.list", list, call.Unmarshal[User])
	}
	return call.Pages(ctx, fetch, func(u User) string { return strconv.FormatInt(u.ID, 10) })
}

// GetUser returns one user, with the form if asked for. A deleted user is
// either ErrNotFound or a user who says Deleted. An answer about anybody else
// is ErrNotFound: an id that is free may be read as somebody's login name.
func (c *Client) GetUser(ctx context.Context, key Key, form bool) (User, error) {
	const op = "users.get"
	if key.empty() {
		return User{}, refuse(op, "an empty key")
	}
	r, err := c.do(ctx, op, operation{path: usersPath, key: &key, query: UsersQuery{Form: form}.values()})
	if err != nil {
		return User{}, err
	}
	var u User
	if err := call.Decode(providers.SuperSaaS, op, r, &u); err != nil {
		return User{}, err
	}
	if key.id != 0 && u.ID != key.id {
		return User{}, &providers.Error{Provider: providers.SuperSaaS, Op: op, Status: r.Status,
			Kind: providers.ErrNotFound, Detail: "the answer is about another user"}
	}
	return u, nil
}

// Duplicate says what a creation does if its foreign key exists.
type Duplicate string

// The choices for Duplicate. The empty one leaves it to the provider, which
// updates the existing user.
const (
	DuplicateRaise  Duplicate = "raise"  // ErrDuplicate, and nothing changes
	DuplicateIgnore Duplicate = "ignore" // accepted by the official clients; meaning unverified
)

// NotFound says what an update does if its user does not exist.
type NotFound string

// The choices for NotFound. The empty one is NotFoundError for an id, and
// creates the user for a foreign key.
const (
	NotFoundError  NotFound = "error"  // ErrNotFound, and nothing changes
	NotFoundIgnore NotFound = "ignore" // success, and nothing changes
)

// A WriteOptions steers a change. The zero value sends none of the options.
type WriteOptions struct {
	// Webhook makes the change fire webhooks, which changes through the API
	// otherwise never do. A program that also receives them builds a loop.
	Webhook   bool
	Duplicate Duplicate // of CreateUser
	NotFound  NotFound  // of UpdateUser
	Post      bool      // UpdateUser sends POST instead of PUT
}

func (o WriteOptions) values() url.Values {
	v := url.Values{}
	if o.Webhook {
		v.Set("webhook", "true")
	}
	if o.Duplicate != "" {
		v.Set("duplicate", string(o.Duplicate))
	}
	if o.NotFound != "" {
		v.Set("notfound", string(o.NotFound))
	}
	return v
}

// A Written is the outcome of a change.
type Written struct {
	ID      int64 // of the user, 0 if the answer does not say
	Created bool
}

// CreateUser makes a user, under a foreign key if fk is not empty. With a
// foreign key that exists it updates that user, unless options say otherwise.
func (c *Client) CreateUser(ctx context.Context, fk string, fields Fields, o WriteOptions) (Written, error) {
	op := operation{method: http.MethodPost, path: usersPath, fields: fields.copied(), query: o.values()}
	if fk == "" {
		op.path, op.user = usersPath+".json", fields["name"]
	} else {
		key := FK(fk).As(fields["name"])
		op.key = &key
	}
	w, err := c.write(ctx, "users.create", op)
	var e *providers.Error
	if o.Duplicate == DuplicateRaise && errors.As(err, &e) && e.Status == http.StatusUnprocessableEntity {
		e.Kind, e.Detail = providers.ErrDuplicate, "the foreign key exists, or a field breaks a rule"
	}
	return w, err
}

// UpdateUser changes the fields given and leaves the others. With a foreign
// key that does not exist it creates the user, unless options say otherwise.
func (c *Client) UpdateUser(ctx context.Context, key Key, fields Fields, o WriteOptions) (Written, error) {
	const op = "users.update"
	if key.empty() {
		return Written{}, refuse(op, "an empty key")
	}
	method := http.MethodPut
	if o.Post {
		method = http.MethodPost
	}
	return c.write(ctx, op, operation{method: method, path: usersPath, key: &key, fields: fields.copied(), query: o.values()})
}

func (c *Client) write(ctx context.Context, op string, o operation) (Written, error) {
	r, err := c.do(ctx, op, o)
	if err != nil {
		return Written{}, err
	}
	return Written{ID: idFromLocation(r.Header.Get("Location")), Created: r.Status == http.StatusCreated}, nil
}

// DeleteUser deletes a user; ErrNotFound if there is none. The provider
// deletes softly: a person can restore the user there. Of the options,
// Webhook applies.
func (c *Client) DeleteUser(ctx context.Context, key Key, o WriteOptions) error {
	const op = "users.delete"
	if key.empty() {
		return refuse(op, "an empty key")
	}
	_, err := c.do(ctx, op, operation{method: http.MethodDelete, path: usersPath, key: &key, query: o.values()})
	return err
}

// idFromLocation reads the number that ends https://.../api/users/123.json;
// 0 if there is none.
func idFromLocation(location string) int64 {
	location, _, _ = strings.Cut(location, "?")
	location = strings.TrimSuffix(location, ".json")
	id, _ := parseID(location[strings.LastIndexByte(location, '/')+1:])
	return id
}
