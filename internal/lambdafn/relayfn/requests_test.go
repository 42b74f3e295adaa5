package relayfn_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"hikyaku/internal/lambdafn/relayfn"
)

// A meter counts requests to the providers by host and method.
type meter struct {
	http.RoundTripper

	mu     sync.Mutex
	counts map[string]int
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	provider, _, _ := strings.Cut(r.URL.Host, ".")
	m.counts[provider+" "+r.Method]++
	m.mu.Unlock()
	return m.RoundTripper.RoundTrip(r)
}

// What a job costs in reads and writes, by its outcome, as counted at the doors of
// the local AWS and of the sandboxes: the same as at ee17bce.
func TestRelay_RequestsOfAJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.index()
	m := &meter{RoundTripper: byHost{w}, counts: map[string]int{}}
	e := w.environ("relay", map[string]string{"HIKYAKU_LOG_LEVEL": "INFO", "HIKYAKU_CREATE_AFTER_LIST": "false"})
	e.HTTP = m
	f, err := relayfn.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string) int64 { return w.shop.AddUser(map[string]any{"name": name + "@mail.example"}) }
	warm := add("warm")
	w.relay(f, warm)
	user, nobody := add("one"), int64(999_999_999)
	quiet := func() {}
	for _, c := range []struct {
		outcome string
		user    int64
		change  func()
		want    string
	}{
		{"created", user, quiet, "s3.GetObject 3, s3.PutObject 3, supersaas GET 2, yappli POST 1"},
		{"unchanged", user, quiet, "s3.GetObject 1, supersaas GET 1"},
		{"updated", user, func() { w.shop.ChangeUser(user, map[string]any{"full_name": "見本"}) }, "s3.GetObject 1, s3.PutObject 2, supersaas GET 2, yappli PUT 1"},
		{"disabled", user, func() { w.shop.DeleteUser(user) }, "s3.GetObject 2, s3.PutObject 3, supersaas GET 4, yappli GET 1, yappli PUT 1"},
		{"unchanged", user, quiet, "s3.GetObject 1, supersaas GET 2"},
		{"restored", user, func() { w.shop.RestoreUser(user) }, "s3.GetObject 1, s3.PutObject 2, supersaas GET 2, yappli PUT 1"},
		{"already_disabled", user, func() {
			w.shop.DeleteUser(user)
			member := w.member(user)
			member.Values["enabled"] = "0"
			w.crm.Put(member)
		}, "s3.GetObject 1, s3.PutObject 2, supersaas GET 4, yappli GET 1"},
		{"member_missing", warm, func() {
			w.crm.MissingStatus = http.StatusNotFound
			w.crm.Delete(w.member(warm).ID)
			w.shop.ChangeUser(warm, map[string]any{"full_name": "見本"})
		}, "s3.GetObject 1, s3.PutObject 2, sqs.SendMessageBatch 1, supersaas GET 2, yappli PUT 1"},
		{"gone_unlinked", nobody, quiet, "s3.GetObject 1, supersaas GET 2"},
	} {
		c.change()
		aws := w.aws.Calls()
		clear(m.counts)
		logged := len(w.out.String())
		if left := w.relay(f, c.user); left != 0 {
			t.Fatalf("%s: %d messages left", c.outcome, left)
		}
		counts := map[string]int{}
		maps.Copy(counts, m.counts)
		for name, n := range w.aws.Calls() {
			counts[name] = n - aws[name]
		}
		var got []string
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			if counts[name] > 0 {
				got = append(got, fmt.Sprintf("%s %d", name, counts[name]))
			}
		}
		if out := w.out.String()[logged:]; !strings.Contains(out, `"`+c.outcome+`"`) {
			t.Errorf("not %s: %s", c.outcome, out)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s, want %s", c.outcome, strings.Join(got, ", "), c.want)
		}
	}
}
