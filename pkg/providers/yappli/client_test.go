package yappli_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/seenfile"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := seenfile.Write("yappli"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// base is a host that only the in-process transport answers.
const base = "http://yappli.example"

// quick is a sandbox without a rate limit.
func quick(records int) *yapplitest.Server {
	return yapplitest.New(sandbox.Options{Records: records, Rate: -1})
}

type noLimit struct{}

func (noLimit) Wait(ctx context.Context) error { return ctx.Err() }

// connect returns a client of s that waits for no limit.
func connect(s *yapplitest.Server) *yappli.Client {
	return yappli.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: s.Client(), Limiter: noLimit{}})
}

// each runs f for every generation, encoding and wrapper.
func each(t *testing.T, f func(t *testing.T, s *yapplitest.Server)) {
	for _, generation := range []int{1, 2, 3} {
		for _, body := range []string{"multipart", "json", "form"} {
			for _, wrapper := range []string{"table", "flat", "inner", "bare"} {
				t.Run(fmt.Sprintf("%d/%s/%s", generation, body, wrapper), func(t *testing.T) {
					t.Parallel()
					s := quick(7)
					s.Generation, s.Body, s.Wrapper, s.Lookup = generation, body, wrapper, true
					f(t, s)
				})
			}
		}
	}
}

func TestCreateUpdateAndRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *yapplitest.Server) {
		c, ctx := connect(s), t.Context()
		fields := yappli.Fields{}
		for i, name := range yappli.RequestFields() {
			fields[name] = yappli.Text(fmt.Sprintf("値%d <&\"\r\n", i))
		}
		maps.Copy(fields, yappli.Fields{
			"unique_id": yappli.Text("ss-1/2?3"), "rank": yappli.Int(5), "logined": yappli.Bool(true), "enabled": yappli.Bool(false),
			"logined_at": yappli.Text("2026-11-22 09:00:00"),
		})
		made, err := c.CreateUser(ctx, fields)
		if err != nil {
			t.Fatal(err)
		}
		read, err := c.User(ctx, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		found, err := c.UserByUniqueID(ctx, "ss-1/2?3")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []yappli.Member{made, read, found} {
			for name, v := range fields {
				got, shown := m.Field(name)
				if secret := name == "password" || name == "secret_answer"; shown == secret || shown && got != v.Text {
					t.Errorf("Field(%q) = %q, %v; sent %q", name, got, shown, v.Text)
				}
			}
			if m.Enabled || !m.Logined || m.Rank != 5 || m.UniqueID != "ss-1/2?3" {
				t.Errorf("decoded %+v", m)
			}
		}
		stored, _ := s.Find(made.ID)
		if stored.Values["password"] != fields["password"].Text || stored.Values["secret_answer"] != fields["secret_answer"].Text {
			t.Error("password or secret_answer did not arrive")
		}
		delete(fields, "unique_id")
		fields["column07"] = yappli.Text("変更")
		if updated, err := c.UpdateUser(ctx, made.ID, fields); err != nil || updated.Column(7) != "変更" || updated.UniqueID != "ss-1/2?3" {
			t.Errorf("update of every field: %+v, %v", updated, err)
		}
		updated, err := c.UpdateUser(ctx, made.ID, yappli.Fields{"column02": yappli.Text(""), "column50": yappli.Null(), "enabled": yappli.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		if empty, shown := updated.Field("column02"); empty != "" || !shown {
			t.Errorf("column02 was set to empty, reads %q, %v", empty, shown)
		}
		if _, shown := updated.Field("column50"); shown != (s.Body != "json") {
			t.Errorf("column50 was set to null, shown %v", shown)
		}
		if !updated.Enabled || updated.Column(1) != fields["column01"].Text {
			t.Errorf("updated %+v", updated)
		}
	})
}
