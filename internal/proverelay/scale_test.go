package proverelay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const (
	differOf  = 1000 // of so many users one has a member that shows another name
	strangers = 100  // members that no user claims
)

// place is where a list has the record number i of n: each has its own order.
func place(i, n, step int) int { return i * step % n }

// A crowd answers the lists of both providers for n users, made up as they are
// asked for: a sandbox of a million would need more memory than the function.
// The first of them, by number, have an identity and so a member.
type crowd struct {
	n, named       int
	users, members *atomic.Int64 // pages asked for
}

func (c crowd) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/users.json", func(w http.ResponseWriter, r *http.Request) {
		c.users.Add(1)
		b := []byte{'['}
		for i, to := window(r, c.n); i < to; i++ {
			b = append(c.user(b, place(i, c.n, 7)), ',')
		}
		respond(w, append(bytes.TrimSuffix(b, []byte{','}), ']'))
	})
	mux.HandleFunc("GET /api/ext/users", func(w http.ResponseWriter, r *http.Request) {
		c.members.Add(1)
		b := []byte(`{"members":[`)
		for i, to := window(r, c.n+strangers); i < to; i++ {
			b = append(append(append(b, `{"member":`...), c.member(i).JSON()...), `},`...)
		}
		respond(w, append(bytes.TrimSuffix(b, []byte{','}), ']', '}'))
	})
	return mux
}

func window(r *http.Request, all int) (from, to int) {
	from, _ = strconv.Atoi(r.URL.Query().Get("offset"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	return min(from, all), min(from+limit, all)
}

// respond is as slow as a provider nearby.
func respond(w http.ResponseWriter, body []byte) {
	time.Sleep(30 * time.Millisecond)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func (c crowd) identity(u int) string {
	if u < c.named {
		return fmt.Sprintf("F-%d", u)
	}
	return ""
}

func (c crowd) user(b []byte, u int) []byte {
	return fmt.Appendf(b, `{"id":%d,"fk":null,"created_on":"2024-05-06T07:08:09Z","role":3,"name":"user%d@mail.example","full_name":"会員 %d","credit":"0",`+
		`"email":"user%d@mail.example","address":"東京都千代田区一丁目%d","phone":"03-0000-0000","mobile":"090-0000-0000","country":"JP","timezone":"Asia/Tokyo",`+
		`"field_1":"カイイン","field_2":%q,"super_field":null,"group":null}`, 20_000_000+u, u, u, u, u, c.identity(u))
}

// member is the one at a place of the list: a user's, or in the end a
// stranger's. One in differOf shows another name than its user.
func (c crowd) member(i int) yapplitest.Member {
	m := yapplitest.Member{ID: strconv.Itoa(1000 + i), Values: map[string]string{
		"unique_id": fmt.Sprintf("other-%d", i), "rank": "0", "point": "0", "logined": "0", "enabled": "1",
		"created_at": "2024-05-06 07:08:09", "updated_at": "2024-05-06 07:08:09",
	}}
	if i < c.n {
		u := place(i, c.n, 11)
		m.Values["unique_id"], m.Values["login_id"] = c.identity(u), fmt.Sprintf("user%d@mail.example", u)
		m.Values["column01"], m.Values["column02"] = fmt.Sprintf("会員 %d", u), c.identity(u)
		if u%differOf == 0 {
			m.Values["column01"] = "旧姓"
		}
	}
	return m
}

// peakMemory is VmHWM of a process, in MB.
func peakMemory(pid int) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, _ := strconv.ParseFloat(strings.Fields(rest + " 0")[0], 64)
	return kilobytes / 1024
}

// binary registers the real binary as reconcile on a local AWS, for a crowd.
func (c crowd) binary(t *testing.T, template prove.Template, timeout time.Duration) *awslocal.AWS {
	t.Helper()
	aws, err := awslocal.Start(t.Context(), awslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lists := httptest.NewServer(c.handler())
	t.Cleanup(func() { _ = aws.Close(); lists.Close() })
	for _, token := range []providers.Token{
		{Provider: providers.SuperSaaS, Kind: providers.Static, BaseURL: lists.URL, Account: "crowd", Credential: providers.NewSecret("k")},
		{Provider: providers.Yappli, Kind: providers.ClientCredentials, BaseURL: lists.URL, Credential: providers.NewSecret("k"), Quirks: json.RawMessage(`{"update":"partial","page_size":1000}`)},
	} {
		if err := aws.Secrets.Create(t.Context(), secretstore.Name(prefix, token.Provider, secretstore.TokenPart), uuid.NewString(), token.Document()); err != nil {
			t.Fatal(err)
		}
	}
	queue, err := aws.CreateQueue(users, nil)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := prove.Build(t.Context(), t.TempDir(), localstack.Command(localstack.Reconcile))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(binary), "mapping.yaml")
	if err := os.WriteFile(file, []byte(mapping), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := template.Variables(localstack.Resource(localstack.Reconcile))
	maps.Copy(vars, map[string]string{
		"HIKYAKU_PREFIX": prefix, "HIKYAKU_BUCKET": awslocal.Bucket, "HIKYAKU_QUEUE_URL": queue, "HIKYAKU_MAPPING_FILE": file, "HIKYAKU_RELAY": "write",
		"HIKYAKU_IDENTITY": "field_2", "HIKYAKU_IDENTITY_EDITABLE": "yes", "HIKYAKU_LINK": "always", "HIKYAKU_ALLOW_HOSTS": "127.0.0.1", "HIKYAKU_SUPERSAAS_RATE": "10000", "HIKYAKU_YAPPLI_RATE": "10000",
		"HIKYAKU_TOKENREFRESH_FUNCTION": "", "AWS_ENDPOINT_URL": aws.URL,
	})
	var env []string
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	if err := aws.Register(awslocal.Function{Name: localstack.Reconcile, Binary: binary, Env: env, Timeout: timeout}); err != nil {
		t.Fatal(err)
	}
	return aws
}

// TestScale compares many users by the real binary, under the local Lambda
// runtime, in invocations that each end before their deadline. In the short
// form one user in ten has a member, because to link one costs three requests.
func TestScale(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	c := crowd{n: prove.Size(1_000_000, 50_000), named: prove.Size(1_000_000, 5000), users: &atomic.Int64{}, members: &atomic.Int64{}}
	timeout, least := time.Duration(prove.Size(40, 3))*time.Second, prove.Size(10, 2)
	template := prove.ReadTemplate(t, root)
	aws := c.binary(t, template, timeout)
	began, peak, failed, lost := time.Now(), 0.0, 0, int64(0)
	l := newLoop(t, template, aws)
	invoke := l.invoke
	l.invoke = func(ctx context.Context, payload []byte) (answer awslocal.Result, err error) {
		done, asked := make(chan struct{}), c.users.Load()+c.members.Load()
		go func() {
			defer close(done)
			answer, err = invoke(ctx, payload)
		}()
		for running := true; running; {
			select {
			case <-done:
				running = false
			case <-time.After(100 * time.Millisecond): // a process that dies takes its figure along
			}
			for _, pid := range aws.Processes(localstack.Reconcile) {
				peak = max(peak, peakMemory(pid))
			}
		}
		if err != nil || answer.Error != "" {
			failed++
			lost += c.users.Load() + c.members.Load() - asked // it saved none of them
			t.Logf("invocation failed after %s: %s, %v", time.Since(began), answer.Payload, err)
		}
		return answer, err
	}
	result, calls, err := l.run(t.Context(), `{"action":"reconcile"}`)
	if err != nil || result.Report == nil {
		t.Fatalf("%+v, %v", result, err)
	}
	took := time.Since(began)
	memory := float64(template.Number(t, "Resources", localstack.Resource(localstack.Reconcile), "Properties", "MemorySize"))
	prove.Figure(t, peak > 0 && peak < memory && calls-failed > least, fmt.Sprintf("memory of the real binary, %d users of whom %d have members", c.n, c.named),
		fmt.Sprintf("%.0f MB, over at least %d deadlines", memory, least), "%.0f MB (VmHWM), %d invocations of %s, %d of them failed, %s in all", peak, calls, timeout, failed, took.Round(time.Second))
	// Pages that begin with four rows of the one before, and two that show the
	// end. An invocation whose time ends while it waits for a page leaves that
	// page to the next; one that is killed leaves all of its own.
	overlapping := func(rows int) int64 { return int64((rows-4+995)/996 + 2) }
	users, members := overlapping(c.n), overlapping(c.n+strangers)
	again := max(0, c.users.Load()-users) + max(0, c.members.Load()-members)
	prove.Figure(t, again < int64(calls)+lost, fmt.Sprintf("pages of 1000 asked for, %d users and %d members, over %d invocations", c.n, c.n+strangers, calls),
		fmt.Sprintf("%d and %d, one more after each invocation but the last", users, members), "%d and %d", c.users.Load(), c.members.Load())
	got := *result.Report
	want := reconcile.Report{
		Users: c.n, Members: c.n + strangers, Matched: c.named, NoIdentity: c.n - c.named, Unclaimed: c.n - c.named + strangers,
		Differing: c.named / differOf, Sent: c.named / differOf,
	}
	prove.Figure(t, reflect.DeepEqual(got, want), "what they found", "every member, and the users who differ", "%d matched, %d differ, %d sent, drift %d", got.Matched, got.Differing, got.Sent, got.Drift)
}
