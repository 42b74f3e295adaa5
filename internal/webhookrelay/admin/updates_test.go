package admin_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// blind loses what a PUT says, as a server does that reads no body of it.
type blind struct{ next http.RoundTripper }

func (b blind) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut {
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{}`)), 2
	}
	return b.next.RoundTrip(r)
}

// late answers the first read after a write with what was there before it, as
// a cache does.
type late struct {
	next  http.RoundTripper
	reads int
	old   []byte
}

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	switch l.reads++; l.reads {
	case 1:
		l.old = body
	case 2:
		body = l.old
	}
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return answer, err
}

func TestUpdateCheck(t *testing.T) {
	t.Parallel()
	full := map[string]string{"unique_id": "ss-1", "login_id": "a@mail.example", "column01": "見本 試子", "column40": "会員 1", "enabled": "0", "rank": "2"}
	for name, c := range map[string]struct {
		member         map[string]string
		replace, blind bool
		late           bool
		left           string // by an earlier check
		want           yappli.Update
		sent, err      string
		kept           bool // the file stays
	}{
		"partial":            {member: full, want: yappli.UpdatePartial, sent: "column40"},
		"replace":            {member: full, replace: true, want: yappli.UpdateReplace, sent: "column40"},
		"replace, seen late": {member: full, replace: true, late: true, want: yappli.UpdateReplace, sent: "column40"},
		"too few fields":     {member: map[string]string{"unique_id": "ss-1", "column01": "見本", "rank": "2"}, replace: true, err: "fewer than two texts"},
		"body not read":      {member: full, replace: true, blind: true, err: "correct the quirk body", kept: true},
		"of another":         {member: full, replace: true, left: `{"member":"1","fields":{"column02":"x"}}`, err: "is not what an interrupted check keeps", kept: true},
		"no such file":       {member: full, replace: true, left: `column02`, err: "is not what an interrupted check keeps", kept: true},
		"interrupted":        {member: map[string]string{"unique_id": "ss-1", "column40": "会員 1"}, replace: true, left: `{"member":"ID","fields":{"login_id":"a@mail.example","column01":"見本 試子","column40":"会員 1","enabled":"0","rank":"2"}}`, want: yappli.UpdateReplace, sent: "column40"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				crm := yapplitest.New(sandbox.Options{Records: -1, Rate: -1})
				crm.Replace, crm.Body = c.replace, "json"
				id := crm.Put(yapplitest.Member{Values: c.member})
				client := crm.Client()
				if c.blind {
					client.Transport = blind{client.Transport}
				}
				if c.late {
					client.Transport = &late{next: client.Transport}
				}
				check := admin.UpdateCheck{
					Client: yappli.New(providers.Fixed(crm.Token("http://yappli.test")), &providers.Options{HTTP: client}),
					Keep:   filepath.Join(t.TempDir(), "kept.json"),
				}
				if c.left != "" {
					if err := os.WriteFile(check.Keep, []byte(strings.ReplaceAll(c.left, "ID", id)), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				before := crm.Members()
				seen, err := check.Run(t.Context(), id, []string{"column40", "column41"})
				if c.err != "" {
					if err == nil || !strings.Contains(err.Error(), c.err) {
						t.Errorf("err = %v, want %q", err, c.err)
					}
				} else if err != nil || seen.Update != c.want || seen.Sent != c.sent || (len(seen.Lost) > 0) != c.replace {
					t.Errorf("seen %+v, %v", seen, err)
				}
				raw, err := os.ReadFile(check.Keep)
				if (err == nil) != c.kept || c.blind && !strings.Contains(string(raw), "会員 1") {
					t.Errorf("the file holds %s, %v", raw, err)
				}
				want := before[0].Values
				if name == "interrupted" {
					want = full
				}
				for field, value := range want {
					if got := crm.Members()[0].Values[field]; got != value && !c.blind && field != "updated_at" {
						t.Errorf("%s is %q, was %q", field, got, value)
					}
				}
			})
		})
	}
}

// What somebody else may have planted is neither read nor written to the member.
func TestUpdateCheck_TrustsNoFileOfOthers(t *testing.T) {
	t.Parallel()
	const planted = `{"member":"ID","fields":{"column01":"planted"}}`
	for name, c := range map[string]struct {
		content string
		plant   func(t *testing.T, keep, content string) (other string)
		err     string
	}{
		"readable by others": {planted, func(t *testing.T, keep, s string) string { return write(t, keep, s, 0o644) }, "is not trusted"},
		"writable by others": {planted, func(t *testing.T, keep, s string) string { return write(t, keep, s, 0o620) }, "is not trusted"},
		"a link":             {planted, func(t *testing.T, keep, s string) string { return link(t, keep, write(t, keep+".real", s, 0o600)) }, "is not trusted"},
		"a folder that others write": {planted, func(t *testing.T, keep, s string) string {
			return mode(t, filepath.Dir(write(t, keep, s, 0o600)), 0o770)
		}, "is not trusted"},
		"a folder of another": {planted, func(t *testing.T, keep, s string) string { return foreign(t, keep) }, "is not trusted"},
		"an unknown key":      {`{"member":"ID","fields":{"column01":"planted"},"url":"x"}`, func(t *testing.T, keep, s string) string { return write(t, keep, s, 0o600) }, "is not what an interrupted check keeps"},
		"an unknown field":    {`{"member":"ID","fields":{"column01":"planted","admin":"1"}}`, func(t *testing.T, keep, s string) string { return write(t, keep, s, 0o600) }, "is not what an interrupted check keeps"},
		"the identity":        {`{"member":"ID","fields":{"unique_id":"planted"}}`, func(t *testing.T, keep, s string) string { return write(t, keep, s, 0o600) }, "is not what an interrupted check keeps"},
		"two documents":       {planted + planted, func(t *testing.T, keep, s string) string { return write(t, keep, s, 0o600) }, "is not what an interrupted check keeps"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := yapplitest.New(sandbox.Options{Records: -1, Rate: -1})
			id := crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "ss-1", "column01": "見本 試子", "column40": "会員 1"}})
			keep := filepath.Join(t.TempDir(), "kept.json")
			if other := c.plant(t, keep, strings.ReplaceAll(c.content, "ID", id)); other != "" {
				keep = other
			}
			check := admin.UpdateCheck{Client: yappli.New(providers.Fixed(crm.Token("http://yappli.test")), &providers.Options{HTTP: crm.Client()}), Keep: keep}
			if _, err := check.Run(t.Context(), id, nil); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("err = %v, want %q", err, c.err)
			}
			if got := crm.Members()[0].Values["column01"]; got != "見本 試子" {
				t.Errorf("the member holds %q", got)
			}
		})
	}
}

func write(t *testing.T, path, content string, perm os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	mode(t, path, perm)
	return path
}

func mode(t *testing.T, path string, perm os.FileMode) string {
	t.Helper()
	if err := os.Chmod(path, perm); err != nil {
		t.Fatal(err)
	}
	return ""
}

func link(t *testing.T, keep, to string) string {
	t.Helper()
	if err := os.Symlink(to, keep); err != nil {
		t.Fatal(err)
	}
	return ""
}

// foreign returns a path in a folder that another user owns: root's, or for root
// one that is given away.
func foreign(t *testing.T, keep string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return "/usr/kept.json"
	}
	if err := os.Chown(filepath.Dir(keep), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return ""
}
