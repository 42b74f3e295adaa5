package yappli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// all reads the whole list.
func all(t *testing.T, c *yappli.Client) ([]yappli.Member, error) {
	t.Helper()
	var members []yappli.Member
	for m, err := range c.Users(t.Context()) {
		if err != nil {
			return members, err
		}
		members = append(members, m)
	}
	return members, nil
}

func TestUsersReadsEveryPage(t *testing.T) {
	t.Parallel()
	for _, generation := range []int{1, 3} {
		for _, c := range []struct{ records, largest, requests int }{
			{0, 0, 1}, {1, 0, 2}, {50, 0, 2}, {51, 0, 3}, {120, 0, 4}, {120, 7, 19}, // the last page is an empty one
		} {
			s := quick(c.records)
			if c.records == 0 {
				s = quick(-1)
			}
			s.Generation, s.MaxPage = generation, c.largest
			members, err := all(t, connect(s))
			if err != nil || len(members) != c.records {
				t.Fatalf("generation %d, %+v: %d members, %v", generation, c, len(members), err)
			}
			for i, m := range s.Members() {
				if got := members[i]; got.ID != m.ID || got.UniqueID != m.Values["unique_id"] || got.Column(1) != m.Values["column01"] {
					t.Errorf("generation %d, %+v: member %d is %+v", generation, c, i, got)
				}
			}
			if n := s.Count("GET /api/ext/users"); n != c.requests {
				t.Errorf("generation %d, %+v: %d requests", generation, c, n)
			}
		}
	}
}

func TestUsersStopsWhenTheConsumerDoes(t *testing.T) {
	t.Parallel()
	s := quick(200)
	for _, err := range connect(s).Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if n := s.Count(""); n != 1 {
		t.Errorf("%d requests for one member", n)
	}
}

func TestUsersNoticesIgnoredPaging(t *testing.T) {
	t.Parallel()
	s := quick(120)
	token := s.Token(base)
	token.Quirks = []byte(`{"paging":"page"}`) // the first generation knows no such parameters
	c := yappli.New(providers.Fixed(token), &providers.Options{HTTP: s.Client(), Limiter: noLimit{}})
	members, err := all(t, c)
	if !errors.Is(err, providers.ErrInvalid) || len(members) != 50 || s.Count("") != 2 {
		t.Errorf("%d members in %d requests, %v", len(members), s.Count(""), err)
	}
}

func TestUsersSizeIsAQuirk(t *testing.T) {
	t.Parallel()
	s := quick(30)
	token := s.Token(base)
	token.Quirks = []byte(`{"page_size":10}`)
	c := yappli.New(providers.Fixed(token), &providers.Options{HTTP: s.Client(), Limiter: noLimit{}})
	if members, err := all(t, c); err != nil || len(members) != 30 || s.Count("") != 4 {
		t.Errorf("%d members in %d requests, %v", len(members), s.Count(""), err)
	}
}

// TestReadUsersKeepsTheProvidersBytes compares pages with what the sandbox holds.
func TestReadUsersKeepsTheProvidersBytes(t *testing.T) {
	t.Parallel()
	s := quick(5)
	records := s.Members()
	page, err := connect(s).ReadUsers(t.Context(), yappli.UsersQuery{Limit: 2, Offset: 1})
	if want := fmt.Sprintf("%s\n%s\n", records[1].JSON(), records[2].JSON()); err != nil || string(page.Body[page.Records[0].Start:]) != want || page.Shape != yappli.ShapeTable {
		t.Errorf("page %s of shape %s, %v", page.Body, page.Shape, err)
	}
	s = quick(5)
	s.Generation, s.Wrapper = 3, "flat"
	page, err = connect(s).ReadUsers(t.Context(), yappli.UsersQuery{Limit: 2, Page: 3})
	if err != nil || len(page.Records) != 1 || string(page.Bytes(page.Records[0])) != string(records[4].JSON()) || page.Shape != yappli.ShapeFlat {
		t.Errorf("page %s of shape %s, %v", page.Body, page.Shape, err)
	}
	if _, err = connect(s).ReadUsers(t.Context(), yappli.UsersQuery{Offset: 1}); !errors.Is(err, providers.ErrInvalid) {
		t.Errorf("an offset in a tenant of pages: %v", err)
	}
	first, err := connect(s).ReadUsers(t.Context(), yappli.UsersQuery{Limit: 2})
	if err != nil || string(first.Records[0].ID) != records[0].ID {
		t.Errorf("first page %s, %v", first.Body, err)
	}
}

func TestReadsOfNobody(t *testing.T) {
	t.Parallel()
	for generation, want := range map[int]error{1: providers.ErrInvalid, 3: providers.ErrNotFound} {
		s := quick(3)
		s.Generation, s.Lookup = generation, true
		c, ctx := connect(s), t.Context()
		if _, err := c.User(ctx, "9999"); !errors.Is(err, want) {
			t.Errorf("generation %d: get %v", generation, err)
		}
		if _, err := c.UpdateUser(ctx, "9999", yappli.Fields{"rank": yappli.Int(1)}); !errors.Is(err, want) {
			t.Errorf("generation %d: update %v", generation, err)
		}
		if _, err := c.UserByUniqueID(ctx, "nobody"); !errors.Is(err, providers.ErrNotFound) {
			t.Errorf("generation %d: look-up %v", generation, err)
		}
		if m, err := c.UserByUniqueID(ctx, "shop-0000002"); err != nil || m.ID != "1002" {
			t.Errorf("generation %d: look-up %v, %v", generation, m.ID, err)
		}
	}
}

func TestDuplicateCreationHasNoDocumentedRule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule yapplitest.Duplicate
		want []string // column01 of the members with the unique_id
		kind error
	}{
		{yapplitest.SecondUser, []string{"first", "second"}, nil},
		{yapplitest.Refuse, []string{"first"}, providers.ErrInvalid},
		{yapplitest.Overwrite, []string{"second"}, nil},
	} {
		s := quick(2)
		s.Duplicate = c.rule
		client := connect(s)
		create := func(name string) error {
			_, err := client.CreateUser(t.Context(), yappli.Fields{"unique_id": yappli.Text("u"), "column01": yappli.Text(name)})
			return err
		}
		if err := create("first"); err != nil {
			t.Fatal(err)
		}
		if err := create("second"); !errors.Is(err, c.kind) {
			t.Errorf("%q: %v", c.rule, err)
		}
		var got []string
		for _, m := range s.FindUnique("u") {
			got = append(got, m.Values["column01"])
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%q: %q", c.rule, got)
		}
	}
}

// TestReplaceCanBeCarriedBack updates one column on a tenant that resets what
// an update omits, as Member.Field makes possible.
func TestReplaceCanBeCarriedBack(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"multipart", "json", "form"} {
		s := quick(3)
		s.Body, s.Replace = encoding, true
		s.Put(yapplitest.Member{ID: "1003", Values: map[string]string{
			"unique_id": "u", "enabled": "0", "column01": "a", "column02": "", "secret_quetion": "q", "logined": "1", "logined_at": "2026-01-01 00:00:00", "rank": "4",
		}})
		c, ctx := connect(s), t.Context()
		before, err := c.User(ctx, "1003")
		if err != nil {
			t.Fatal(err)
		}
		fields := yappli.Fields{"column01": yappli.Text("b")}
		for _, name := range yappli.RequestFields()[1:] {
			if _, wished := fields[name]; wished {
				continue
			}
			if value, shown := before.Field(name); shown {
				fields[name] = yappli.Text(value)
			}
		}
		if _, err := c.UpdateUser(ctx, "1003", fields); err != nil {
			t.Fatal(err)
		}
		after, _ := s.Find("1003")
		want := map[string]string{"unique_id": "u", "enabled": "0", "column01": "b", "column02": "", "secret_quetion": "q", "logined": "1",
			"logined_at": "2026-01-01 00:00:00", "rank": "4", "column03": ""}
		for name, value := range want {
			if got, ok := after.Values[name]; got != value || ok == (name == "column03") {
				t.Errorf("%s: %s is %q, %v", encoding, name, got, ok)
			}
		}
		if _, err := c.UpdateUser(ctx, "1003", yappli.Fields{"column02": yappli.Text("x")}); err != nil {
			t.Fatal(err)
		}
		if reset, _ := s.Find("1003"); reset.Values["enabled"] != "1" || reset.Values["column01"] != "" || reset.Values["unique_id"] != "u" {
			t.Errorf("%s: an update of one column did not replace: %v", encoding, reset.Values)
		}
	}
}

// TestAnswersAboutSomebodyElse must never pass for the user who was meant.
func TestAnswersAboutSomebodyElse(t *testing.T) {
	t.Parallel()
	other := `{"member":{"id":"7","unique_id":"other"}}`
	for _, c := range []struct {
		name, body string
		call       func(*yappli.Client) (yappli.Member, error)
		want       error
	}{
		{"get", other, func(c *yappli.Client) (yappli.Member, error) { return c.User(t.Context(), "8") }, providers.ErrInvalid},
		{"get of nobody", `{"member":[]}`, func(c *yappli.Client) (yappli.Member, error) { return c.User(t.Context(), "8") }, providers.ErrNotFound},
		{"look-up", other, func(c *yappli.Client) (yappli.Member, error) { return c.UserByUniqueID(t.Context(), "x") }, providers.ErrInvalid},
		{"two", `{"member":[{"id":"8"},{"id":"8"}]}`, func(c *yappli.Client) (yappli.Member, error) { return c.User(t.Context(), "8") }, providers.ErrInvalid},
		{"creation", other, func(c *yappli.Client) (yappli.Member, error) {
			return c.CreateUser(t.Context(), yappli.Fields{"unique_id": yappli.Text("x")})
		}, providers.ErrInvalid},
		{"creation without a member", `{"member":[]}`, func(c *yappli.Client) (yappli.Member, error) {
			return c.CreateUser(t.Context(), yappli.Fields{"unique_id": yappli.Text("x")})
		}, providers.ErrInvalid},
		{"update", other, func(c *yappli.Client) (yappli.Member, error) {
			return c.UpdateUser(t.Context(), "8", yappli.Fields{"rank": yappli.Int(1)})
		}, providers.ErrInvalid},
		{"creation without unique_id", `{"member":{"id":"7"}}`, func(c *yappli.Client) (yappli.Member, error) {
			return c.CreateUser(t.Context(), yappli.Fields{"unique_id": yappli.Text("x")})
		}, nil},
	} {
		m, err := c.call(scripted(t, `{"lookup":"unique_id"}`, 200, c.body))
		if !errors.Is(err, c.want) || c.want != nil && m.ID != "" {
			t.Errorf("%s: member %q, %v", c.name, m.ID, err)
		}
		var e *providers.Error
		if errors.As(err, &e) && (e.Status != 200 || e.Provider != "yappli") {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

func TestMemberJSONIsWhatDumpHolds(t *testing.T) {
	t.Parallel()
	s := quick(3)
	var dump bytes.Buffer
	if err := s.Dump(&dump); err != nil {
		t.Fatal(err)
	}
	var document struct{ Users []json.RawMessage }
	if err := json.Unmarshal(dump.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	for i, m := range s.Members() {
		var compact bytes.Buffer
		if err := json.Compact(&compact, document.Users[i]); err != nil || compact.String() != string(m.JSON()) {
			t.Errorf("record %d: %s, %v", i, compact.String(), err)
		}
	}
}
