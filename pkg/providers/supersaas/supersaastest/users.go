package supersaastest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"hikyaku/pkg/providers/sandbox"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// keyOf returns the user that a call names in the path or, for keys that a
// path cannot hold, in id=123fk or id={123fk}.
func keyOf(r *sandbox.Request) string {
	if key := r.PathValue("key"); key != "" {
		return strings.TrimSuffix(key, ".json")
	}
	key := r.Param("id")
	if inner, ok := strings.CutPrefix(key, "{"); ok && strings.HasSuffix(inner, "}") {
		key = strings.TrimSuffix(inner, "}")
	}
	return key
}

// window reads limit and offset. A limit above the maximum is lowered without
// notice.
func window(w http.ResponseWriter, r *sandbox.Request) (limit, offset int, ok bool) {
	limit = defaultLimit
	for name, into := range map[string]*int{"limit": &limit, "offset": &offset} {
		text, sent := r.Lookup(name)
		if !sent {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			fail(w, http.StatusBadRequest, "Bad request: "+name+" must be a number")
			return 0, 0, false
		}
		*into = n
	}
	return min(limit, maxLimit), offset, true
}

// slice is list[offset:offset+limit] for any offset and limit.
func slice[T any](list []T, limit, offset int) []T {
	list = list[min(offset, len(list)):]
	return list[:min(limit, len(list))]
}

// userCalls serve the calls about users.
type userCalls struct {
	set     *Settings
	account *account
	users   *users
	hooks   *hooks

	server *sandbox.Server // of whose troubles the lists know
}

func (c userCalls) list(w http.ResponseWriter, r *sandbox.Request) {
	if keyOf(r) != "" {
		c.get(w, r)
		return
	}
	limit, offset, ok := window(w, r)
	if !ok {
		return
	}
	if offset > 0 {
		offset += c.server.Drifting()
	}
	name, filtered := r.Lookup("user[name]")
	if sum, ok := r.Lookup("checksum"); ok {
		name, filtered = c.account.checksumUser(r, sum), true
	}
	form := r.True("form")
	switch {
	case filtered:
		found := []*user{}
		if u := c.users.byName[name]; u != nil {
			found = append(found, u)
		}
		sandbox.Encoded(w, c.users.page(slice(found, limit, offset), form))
	case c.set.Knobs.FailsFrom > 0 && offset >= c.set.Knobs.FailsFrom:
		fail(w, http.StatusServiceUnavailable, "unavailable")
	case c.set.Knobs.Lag > 0:
		sandbox.Encoded(w, array(slice(c.users.lagging(c.set.Knobs.Skip), limit, offset)))
	case c.set.Knobs.Skip != nil:
		kept := slices.DeleteFunc(slices.Clone(c.users.shown()), func(u *user) bool { return c.set.Knobs.Skip(u.id) })
		sandbox.Encoded(w, c.users.page(slice(kept, limit, offset), form))
	default:
		sandbox.Encoded(w, c.users.page(slice(sandbox.Disordered(c.server, c.users.shown()), limit, offset), form))
	}
}

func (c userCalls) get(w http.ResponseWriter, r *sandbox.Request) {
	u := c.users.find(keyOf(r))
	if u == nil || u.deleted && !c.set.Knobs.GoneAsUser {
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	sandbox.Encoded(w, c.users.show(u, r.True("form")))
}

// write is POST and PUT, which differ where no user is named: only POST
// creates there.
func (c userCalls) write(w http.ResponseWriter, r *sandbox.Request) {
	fields, err := userFields(r)
	if err != nil {
		fail(w, http.StatusBadRequest, "Bad request: "+err.Error())
		return
	}
	duplicate, notFound := r.Param("duplicate"), r.Param("notfound")
	if !slices.Contains([]string{"", "raise", "ignore"}, duplicate) || !slices.Contains([]string{"", "error", "ignore"}, notFound) {
		fail(w, http.StatusBadRequest, "Bad request: unknown option")
		return
	}
	key := keyOf(r)
	fk, foreign := strings.CutSuffix(key, "fk")
	u := c.users.find(key)
	if u != nil && u.deleted {
		u = nil
	}
	switch {
	case key == "" && r.Method == http.MethodPost:
		c.create(w, r, "", fields)
	case u != nil && foreign && r.Method == http.MethodPost && duplicate == "raise":
		invalid(w, "fk", "has already been taken")
	case u != nil:
		c.update(w, r, u, fields)
	case notFound == "ignore" && key != "":
		w.WriteHeader(http.StatusOK)
	case foreign && fk != "" && notFound == "":
		c.create(w, r, fk, fields)
	default:
		fail(w, http.StatusNotFound, "Not found")
	}
}

func (c userCalls) create(w http.ResponseWriter, r *sandbox.Request, fk string, fields object) {
	if field, complaint := c.users.check(nil, fields); complaint != "" {
		invalid(w, field, complaint)
		return
	}
	u := c.users.add(fk, fields)
	c.hooks.fireUser(c.users, u, "new", r.True("webhook"))
	created(w, r, "/api/users/"+itoa(u.id)+".json")
}

func (c userCalls) update(w http.ResponseWriter, r *sandbox.Request, u *user, fields object) {
	if field, complaint := c.users.check(u, fields); complaint != "" {
		invalid(w, field, complaint)
		return
	}
	c.users.change(u, fields)
	c.hooks.fireUser(c.users, u, "change", r.True("webhook"))
	w.WriteHeader(http.StatusOK)
}

func (c userCalls) delete(w http.ResponseWriter, r *sandbox.Request) {
	u := c.users.find(keyOf(r))
	if u == nil || u.deleted {
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	c.users.remove(u)
	c.hooks.fireUser(c.users, u, "delete", r.True("webhook"))
	w.WriteHeader(http.StatusOK)
}
