package supersaas_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

func TestUsersList(t *testing.T) {
	t.Parallel()
	s, c := account(250, "")
	all := must(collect(c.Users(ctx, supersaas.UsersQuery{Limit: 100})))
	if len(all) != 250 {
		t.Fatalf("%d users", len(all))
	}
	if !slices.IsSortedFunc(all, func(a, b supersaas.User) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not in the order of names")
	}
	if n := s.Count("GET /api/users.json"); n != 4 {
		t.Errorf("%d requests, want three pages and the empty one", n)
	}
	tail := must(collect(c.Users(ctx, supersaas.UsersQuery{Limit: 100, Offset: 200})))
	if len(tail) != 50 || tail[0].ID != all[200].ID {
		t.Errorf("from an offset: %d users", len(tail))
	}
	byDefault := pageIDs(t, c, supersaas.UsersQuery{})
	if len(byDefault) != 100 {
		t.Errorf("default page of %d", len(byDefault))
	}
	if second := pageIDs(t, c, supersaas.UsersQuery{Limit: 3, Offset: 4}); len(second) != 3 || second[0] != all[4].ID {
		t.Errorf("page of 3 from 4: %v", second)
	}
}

func TestUsersLimitIsClamped(t *testing.T) {
	t.Parallel()
	s, c := account(1100, "")
	if n := len(pageIDs(t, c, supersaas.UsersQuery{Limit: 5000})); n != supersaas.MaxLimit {
		t.Errorf("%d users in a page of 5000", n)
	}
	if all := must(collect(c.Users(ctx, supersaas.UsersQuery{}))); len(all) != 1100 {
		t.Errorf("%d users", len(all))
	}
	if n := s.Count("GET /api/users.json"); n != 4 {
		t.Errorf("%d requests", n)
	}
}

func pageIDs(t *testing.T, c *supersaas.Client, q supersaas.UsersQuery) []int64 {
	t.Helper()
	page, err := c.ReadUsers(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	ids := []int64{}
	for _, r := range page.Records {
		id, err := strconv.ParseInt(string(r.ID), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func TestUsersByName(t *testing.T) {
	t.Parallel()
	s, c := account(30, "")
	want := must(collect(c.Users(ctx, supersaas.UsersQuery{})))[7]
	found := must(collect(c.Users(ctx, supersaas.UsersQuery{Name: want.Name})))
	if len(found) != 1 || found[0].ID != want.ID {
		t.Errorf("found %v", found)
	}
	if none := must(collect(c.Users(ctx, supersaas.UsersQuery{Name: "nobody@mail.example"}))); len(none) != 0 {
		t.Errorf("found %v", none)
	}
	if n := s.Count("GET /api/users.json"); n != 4 {
		t.Errorf("%d requests, want one per name", n)
	}
}

func TestUsersForm(t *testing.T) {
	t.Parallel()
	_, c := account(8, "")
	with := 0
	for u, err := range c.Users(ctx, supersaas.UsersQuery{Form: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := u.Fields()["form"]; !ok {
			t.Errorf("user %d has no form field", u.ID)
		}
		if strings.Contains(string(u.Form), "肌質") {
			with++
		}
	}
	if with != 2 {
		t.Errorf("%d forms, want 2", with)
	}
	u := must(c.GetUser(ctx, supersaas.ID(20450001), true))
	if !strings.Contains(string(u.Form), "乾燥") {
		t.Errorf("form %s", u.Form)
	}
	if u := must(c.GetUser(ctx, supersaas.ID(20450001), false)); u.Form != nil {
		t.Errorf("form %s without form=true", u.Form)
	}
}

func TestGetUserByEveryKey(t *testing.T) {
	t.Parallel()
	s, c := account(0, "")
	id := s.AddUser(map[string]any{"name": "hanako+1 /x?@mail.example", "fk": "123", "full_name": "山田 花子", "credit": "2.5"})
	odd := s.AddUser(map[string]any{"name": "taro", "fk": "店/1 A&b={}"})
	digits := s.AddUser(map[string]any{"name": "777"})
	for name, tc := range map[string]struct {
		key  supersaas.Key
		want int64
	}{
		"id": {supersaas.ID(id), id}, "fk": {supersaas.FK("123"), id}, "name": {supersaas.Name("hanako+1 /x?@mail.example"), id},
		"awkward fk": {supersaas.FK("店/1 A&b={}"), odd}, "digits as a name": {supersaas.Name("777"), digits},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := c.GetUser(ctx, tc.key, false)
			if err != nil || u.ID != tc.want {
				t.Errorf("user %d, %v", u.ID, err)
			}
		})
	}
	u := must(c.GetUser(ctx, supersaas.FK("123"), false))
	if u.FK != "123" || u.FullName != "山田 花子" || u.Credit != "2.5" || u.Role != supersaas.RoleUser || u.CreatedOn.IsZero() || u.Deleted {
		t.Errorf("user %+v", u)
	}
	_, err := c.GetUser(ctx, supersaas.FK("124"), false)
	wantKind(t, err, providers.ErrNotFound, 404)
	// 777 is free as an id, and the provider reads it as a login name.
	_, err = c.GetUser(ctx, supersaas.ID(777), false)
	wantKind(t, err, providers.ErrNotFound, 200)
}

func TestAwkwardForeignKeys(t *testing.T) {
	t.Parallel()
	for fk, want := range map[string]string{
		"123": "/api/users/123fk.json?", "A_b-9": "/api/users/A_b-9fk.json?",
		"a b": "/api/users.json?id=" + escaped("{a bfk}"), "a/b": "/api/users.json?id=" + escaped("{a/bfk}"),
		"a.b": "/api/users.json?id=" + escaped("{a.bfk}"), "店": "/api/users.json?id=" + escaped("{店fk}"),
	} {
		a := &answering{body: `{"id":1}`}
		must(a.client("").GetUser(ctx, supersaas.FK(fk), false))
		if got := a.sent[0].URL.EscapedPath() + "?" + a.sent[0].URL.RawQuery; got != want {
			t.Errorf("%q: %s, want %s", fk, got, want)
		}
	}
	a := &answering{body: `{"id":1}`}
	must(a.client(`{"bare_fk":true}`).GetUser(ctx, supersaas.FK("a b"), false))
	if got := a.sent[0].URL.Query().Get("id"); got != "a bfk" {
		t.Errorf("without braces: %q", got)
	}
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"", "form", "query", "json"} {
		t.Run("as "+encoding, func(t *testing.T) {
			t.Parallel()
			_, c := account(-1, `{"body":"`+encoding+`"}`)
			fields := supersaas.Fields{
				"name": "hanako@mail.example", "email": "h@mail.example", "password": "pw-0000", "full_name": "山田 花子", "address": "東京都<1>&2",
				"phone": "03-0000-0000", "mobile": "090-0000-0000", "country": "JP", "timezone": "Asia/Tokyo", "field_1": "ヤマダ",
				"field_2": "", "super_field": "+", "credit": "-", "role": "4", "group": "7",
			}
			w := must(c.CreateUser(ctx, "", fields, supersaas.WriteOptions{}))
			if !w.Created || w.ID == 0 {
				t.Fatalf("written %+v", w)
			}
			u := must(c.GetUser(ctx, supersaas.ID(w.ID), false))
			got := u.Fields()
			for name, value := range fields {
				switch name {
				case "password":
					if _, shown := got[name]; shown {
						t.Error("the password is shown")
					}
				case "role", "group":
					if got[name] != json.Number(value) {
						t.Errorf("%s is %v", name, got[name])
					}
				default:
					if got[name] != value {
						t.Errorf("%s is %v, want %q", name, got[name], value)
					}
				}
			}
			if u.Field2 != "" || u.Group != "7" || u.Role != supersaas.RoleSuperuser || u.SuperField != "+" || u.Address != fields["address"] ||
				u.Email != "h@mail.example" || u.Phone != "03-0000-0000" || u.Mobile != "090-0000-0000" || u.Country != "JP" ||
				u.Timezone != "Asia/Tokyo" || u.Field1 != "ヤマダ" || u.Name != "hanako@mail.example" {
				t.Errorf("user %+v", u)
			}
		})
	}
}

func TestCreateUserRefused(t *testing.T) {
	t.Parallel()
	s, c := account(-1, "")
	s.AddUser(map[string]any{"name": "taken@mail.example", "fk": "9"})
	for name, tc := range map[string]struct {
		fields supersaas.Fields
		status int
	}{
		"unknown attribute": {supersaas.Fields{"name": "a", "nickname": "b"}, 400},
		"read-only":         {supersaas.Fields{"name": "a", "id": "5"}, 400},
		"no name":           {supersaas.Fields{"email": "a@mail.example"}, 422},
		"empty name":        {supersaas.Fields{"name": ""}, 422},
		"name of 51":        {supersaas.Fields{"name": strings.Repeat("名", 51)}, 422},
		"reserved":          {supersaas.Fields{"name": "Admin"}, 422},
		"taken":             {supersaas.Fields{"name": "taken@mail.example"}, 422},
		"country":           {supersaas.Fields{"name": "a", "country": "Japan"}, 422},
		"timezone":          {supersaas.Fields{"name": "a", "timezone": "JST"}, 422},
		"role":              {supersaas.Fields{"name": "a", "role": "5"}, 422},
		"credit":            {supersaas.Fields{"name": "a", "credit": "many"}, 422},
	} {
		_, err := c.CreateUser(ctx, "", tc.fields, supersaas.WriteOptions{})
		if t.Run(name, func(t *testing.T) { wantKind(t, err, providers.ErrInvalid, tc.status) }); len(s.UserIDs()) != 1 {
			t.Fatalf("%s: a user was made", name)
		}
	}
	must(c.CreateUser(ctx, "", supersaas.Fields{"name": strings.Repeat("名", 50), "role": "-1", "credit": "2.5", "timezone": "UTC"}, supersaas.WriteOptions{}))
}

func TestUpdateUserRefused(t *testing.T) {
	t.Parallel()
	s, c := account(-1, "")
	s.AddUser(map[string]any{"name": "taken"})
	id := s.AddUser(map[string]any{"name": "a", "country": "JP"})
	for _, fields := range []supersaas.Fields{{"name": "taken"}, {"name": ""}, {"country": "jp"}, {"role": "0"}} {
		_, err := c.UpdateUser(ctx, supersaas.ID(id), fields, supersaas.WriteOptions{})
		wantKind(t, err, providers.ErrInvalid, 422)
	}
	_, err := c.UpdateUser(ctx, supersaas.ID(id), supersaas.Fields{"fk": "1"}, supersaas.WriteOptions{})
	wantKind(t, err, providers.ErrInvalid, 400)
	must(c.UpdateUser(ctx, supersaas.ID(id), supersaas.Fields{"name": "a", "country": ""}, supersaas.WriteOptions{}))
	if u := must(c.GetUser(ctx, supersaas.Name("a"), false)); u.ID != id || u.Fields()["country"] != "" {
		t.Errorf("user %s", u.Raw())
	}
	must(c.UpdateUser(ctx, supersaas.ID(id), supersaas.Fields{"name": "b"}, supersaas.WriteOptions{}))
	_, err = c.GetUser(ctx, supersaas.Name("a"), false)
	wantKind(t, err, providers.ErrNotFound, 404)
}

func TestForeignKeyRules(t *testing.T) {
	t.Parallel()
	s, c := account(-1, "")
	name := func(key supersaas.Key) string { return must(c.GetUser(ctx, key, false)).FullName }
	none := supersaas.WriteOptions{}

	made := must(c.CreateUser(ctx, "123", supersaas.Fields{"name": "a", "full_name": "1"}, none))
	if !made.Created || made.ID == 0 {
		t.Fatalf("create with a new key: %+v", made)
	}
	again := must(c.CreateUser(ctx, "123", supersaas.Fields{"full_name": "2"}, none))
	if again.Created || again.ID != 0 || name(supersaas.FK("123")) != "2" {
		t.Errorf("create with a key that exists: %+v", again)
	}
	if must(c.CreateUser(ctx, "123", supersaas.Fields{"full_name": "3"}, supersaas.WriteOptions{Duplicate: supersaas.DuplicateIgnore})); name(supersaas.FK("123")) != "3" {
		t.Error("duplicate=ignore did not update")
	}
	_, err := c.CreateUser(ctx, "123", supersaas.Fields{"full_name": "4"}, supersaas.WriteOptions{Duplicate: supersaas.DuplicateRaise})
	wantKind(t, err, providers.ErrDuplicate, 422)
	wantKind(t, err, providers.ErrInvalid, 422)
	if name(supersaas.FK("123")) != "3" {
		t.Error("duplicate=raise changed the user")
	}
	if w := must(c.CreateUser(ctx, "124", supersaas.Fields{"name": "b"}, supersaas.WriteOptions{Duplicate: supersaas.DuplicateRaise})); !w.Created {
		t.Error("duplicate=raise refused a new key")
	}
	for _, post := range []bool{false, true} {
		fk := "u-" + strconv.FormatBool(post)
		_, err = c.UpdateUser(ctx, supersaas.FK(fk), supersaas.Fields{"name": fk}, supersaas.WriteOptions{Post: post, NotFound: supersaas.NotFoundError})
		wantKind(t, err, providers.ErrNotFound, 404)
		w := must(c.UpdateUser(ctx, supersaas.FK(fk), supersaas.Fields{"name": fk}, supersaas.WriteOptions{Post: post, NotFound: supersaas.NotFoundIgnore}))
		if w.Created || len(s.UserIDs()) != 2+btoi(post) {
			t.Errorf("notfound=ignore: %+v", w)
		}
		w = must(c.UpdateUser(ctx, supersaas.FK(fk), supersaas.Fields{"name": fk}, supersaas.WriteOptions{Post: post}))
		if !w.Created || w.ID == 0 {
			t.Errorf("update with a new key: %+v", w)
		}
		_, err = c.UpdateUser(ctx, supersaas.ID(5), supersaas.Fields{"full_name": "x"}, supersaas.WriteOptions{Post: post})
		wantKind(t, err, providers.ErrNotFound, 404)
		if w := must(c.UpdateUser(ctx, supersaas.ID(5), supersaas.Fields{"full_name": "x"}, supersaas.WriteOptions{Post: post, NotFound: supersaas.NotFoundIgnore})); w != (supersaas.Written{}) {
			t.Errorf("notfound=ignore with an id: %+v", w)
		}
		must(c.UpdateUser(ctx, supersaas.ID(made.ID), supersaas.Fields{"full_name": fk}, supersaas.WriteOptions{Post: post}))
		if got := must(c.GetUser(ctx, supersaas.ID(made.ID), false)); got.FullName != fk || got.Name != "a" || got.UpdatedOn.IsZero() {
			t.Errorf("after an update by id: %+v", got)
		}
	}
	if w := must(c.CreateUser(ctx, "店 1", supersaas.Fields{"name": "awkward"}, none)); !w.Created {
		t.Errorf("awkward key: %+v", w)
	}
	if must(c.GetUser(ctx, supersaas.Name("awkward"), false)).FK != "店 1" {
		t.Error("awkward key was not kept")
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestDeleteUser(t *testing.T) {
	t.Parallel()
	s, c := account(3, "")
	id := s.UserIDs()[0]
	if err := c.DeleteUser(ctx, supersaas.ID(id), supersaas.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := c.GetUser(ctx, supersaas.ID(id), false)
	wantKind(t, err, providers.ErrNotFound, 404)
	wantKind(t, c.DeleteUser(ctx, supersaas.ID(id), supersaas.WriteOptions{}), providers.ErrNotFound, 404)
	_, err = c.UpdateUser(ctx, supersaas.ID(id), supersaas.Fields{"full_name": "x"}, supersaas.WriteOptions{})
	wantKind(t, err, providers.ErrNotFound, 404)
	s.Knobs.GoneAsUser = true
	if u := must(c.GetUser(ctx, supersaas.ID(id), false)); !u.Deleted || u.ID != id {
		t.Errorf("deleted user %+v", u)
	}
	if rest := must(collect(c.Users(ctx, supersaas.UsersQuery{}))); len(rest) != 2 {
		t.Errorf("%d users left", len(rest))
	}
	if !s.RestoreUser(id) {
		t.Error("not restored")
	}
	if u := must(c.GetUser(ctx, supersaas.ID(id), false)); u.Deleted {
		t.Error("still deleted")
	}
}

func TestEmptyKeys(t *testing.T) {
	t.Parallel()
	a := &answering{body: "[]"}
	c := a.client("")
	_, err := c.GetUser(ctx, supersaas.Key{}, false)
	if err == nil || !strings.Contains(err.Error(), "empty key") {
		t.Errorf("get: %v", err)
	}
	if _, err := c.UpdateUser(ctx, supersaas.FK(""), nil, supersaas.WriteOptions{}); err == nil {
		t.Error("update without a key")
	}
	if err := c.DeleteUser(ctx, supersaas.Name(""), supersaas.WriteOptions{}); err == nil {
		t.Error("delete without a key")
	}
	if len(a.sent) != 0 {
		t.Error("something was sent")
	}
}

func TestLocation(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]int64{
		"https://www.supersaas.com/api/users/12345678.json": 12345678, "https://www.supersaas.com/api/users/12345678": 12345678,
		"/api/users/5.json?x=9": 5, "": 0, "https://www.supersaas.com/api/users/": 0, "https://x/api/users/abc.json": 0, "/-4": 0,
	} {
		a := &answering{status: http.StatusCreated, header: http.Header{"Location": {location}}}
		w := must(a.client("").CreateUser(ctx, "", supersaas.Fields{"name": "a"}, supersaas.WriteOptions{}))
		if w.ID != want || !w.Created {
			t.Errorf("%q: %+v", location, w)
		}
	}
}

func TestListsThatMisbehave(t *testing.T) {
	t.Parallel()
	s, c := account(30, "")
	s.Knobs = supersaastest.Knobs{Order: supersaastest.Shuffled, Skip: func(id int64) bool { return id%5 == 0 }, FailsFrom: 20}
	got, err := collect(c.Users(ctx, supersaas.UsersQuery{Limit: 10}))
	wantKind(t, err, providers.ErrTemporary, 503)
	if len(got) != 20 || slices.ContainsFunc(got, func(u supersaas.User) bool { return u.ID%5 == 0 }) {
		t.Errorf("%d users", len(got))
	}
	s.Knobs = supersaastest.Knobs{Order: supersaastest.ByID}
	s.BetweenPages = func(page int) {
		if page == 1 {
			s.DeleteUser(s.UserIDs()[0])
		}
	}
	all := must(collect(c.Users(ctx, supersaas.UsersQuery{Limit: 10})))
	if len(all) != 29 || all[10].ID != all[9].ID+6 {
		t.Errorf("%d users; a deletion between two pages must skip one", len(all))
	}
}
