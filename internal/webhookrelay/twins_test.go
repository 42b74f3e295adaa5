package webhookrelay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/tenant"
)

// twins each lack one guard. The same schedules must find that out.
var twins = []struct {
	name    string
	unguard func(*schedule)
}{
	{"every clean row is trusted", func(s *schedule) {
		s.objects = reread{s.objects, "/rows/", func(user int64, row map[string]any) {
			if p, err := s.plain().Person(context.Background(), user); row["state"] == "clean" && err == nil {
				row["hash"] = p.Hash
			}
		}}
	}},
	{"nobody reads again after the swap", func(s *schedule) {
		s.objects, s.transport = firstRead{Store: s.objects}, firstRead{RoundTripper: s.transport}
		s.begin = func() context.Context {
			return context.WithValue(context.Background(), batchKey{}, &batchReads{answers: map[string][]byte{}, held: map[string]bool{}})
		}
	}},
	{"nobody waits for the end of another's hold", func(s *schedule) {
		s.objects = reread{s.objects, "/rows/", func(_ int64, row map[string]any) {
			if row["state"] == "inflight" {
				row["until"] = time.Now().Add(-time.Hour)
			}
		}}
	}},
	{"every swap of a row wins", func(s *schedule) { s.objects = winning{s.objects, "/rows/"} }},
	{"every claim of an identity is granted", func(s *schedule) { s.objects = granting{winning{s.objects, "/identities/"}} }},
	{"lists lag more than the setting says", func(s *schedule) { s.settings.Lag = time.Nanosecond }},
	{"the identity is enough for a link", func(s *schedule) { s.settings.Link = tenant.Always }},
	{"a decision is on whatever the records are", func(s *schedule) {
		s.objects = reread{s.objects, "/decisions/", func(user int64, decision map[string]any) {
			member, _ := decision["member"].(string)
			p, err := s.plain().Person(context.Background(), user)
			m, missing := s.plain().Members.User(context.Background(), member)
			if err == nil && missing == nil {
				decision["records"] = plan.Of(s.plain()).RecordsDigest(p.User, m)
			}
		}}
	}},
	{"a link is remembered of the member alone", func(s *schedule) {
		s.objects = forgetful{s.objects}
		s.begin = func() context.Context { return context.WithValue(context.Background(), batchKey{}, new(int64)) }
	}},
	{"messages are acknowledged before they are handled", func(s *schedule) { s.hasty = true }},
}

// TestSchedules_FindEachMissingGuard stops at the first schedule that does, but
// counts them at full size. Which one it is varies, as goroutines do.
func TestSchedules_FindEachMissingGuard(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	for _, twin := range twins {
		t.Run(twin.name, func(t *testing.T) {
			t.Parallel()
			first, found, ran := -1, 0, 0
			for n := 0; n < 4*variants && (found == 0 || prove.Full() && n < 2*variants); n++ {
				ran++
				if _, err := outcomeOf(t, n, twin.unguard); err != nil {
					if found++; first < 0 {
						first = n
						t.Logf("schedule %d: %v", n, err)
					}
				}
			}
			prove.Figure(t, found > 0, "random schedules that fail where "+twin.name, "more than 0", "%d of %d, the first is number %d", found, ran, first)
		})
	}
}

// plain is a stack on the same state, without jitter and doubles.
func (s *schedule) plain() *tenant.Tenant {
	r := *s.rig
	r.objects, r.transport = s.jitter.Store, nil
	return r.stack()
}

// reread changes documents of some keys as they are read.
type reread struct {
	objectstore.Store

	keys   string
	change func(user int64, document map[string]any)
}

func (s reread) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	info, body, err := s.Store.Get(ctx, key)
	_, user, is := strings.Cut(key, s.keys)
	if err != nil || !is {
		return info, body, err
	}
	var document map[string]any
	if err := json.NewDecoder(body).Decode(&document); err != nil {
		return info, nil, err
	}
	id, _ := strconv.ParseInt(user, 10, 64)
	s.change(id, document["data"].(map[string]any)) //nolint:forcetypeassert // of an object
	raw, err := json.Marshal(document)
	return info, io.NopCloser(bytes.NewReader(raw)), err
}

// winning drops the conditions of writes to some keys.
type winning struct {
	objectstore.Store

	keys string
}

func (s winning) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if strings.Contains(o.Key, s.keys) {
		o.Condition = objectstore.Condition{}
	}
	return s.Store.Put(ctx, o)
}

// granting shows nobody who bears an identity.
type granting struct{ winning }

func (s granting) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	if strings.Contains(key, s.keys) {
		return objectstore.Info{}, nil, objectstore.ErrNotFound
	}
	return s.winning.Get(ctx, key)
}

// firstRead answers the read of a user after the row was taken as the one
// before it in the same batch.
type firstRead struct {
	objectstore.Store
	http.RoundTripper
}

type batchKey struct{}

// batchReads are of one batch, which one goroutine works off.
type batchReads struct {
	answers map[string][]byte // by user
	held    map[string]bool   // by user: the row was just taken
}

func (f firstRead) Put(ctx context.Context, o objectstore.Object) (string, error) {
	reads, ours := ctx.Value(batchKey{}).(*batchReads)
	if _, user, isRow := strings.Cut(o.Key, "/rows/"); ours && isRow {
		body, err := io.ReadAll(o.Body)
		if err != nil {
			return "", err
		}
		reads.held[user] = bytes.Contains(body, []byte(`"state":"inflight"`))
		o.Body = bytes.NewReader(body)
	}
	return f.Store.Put(ctx, o)
}

func (f firstRead) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := f.RoundTripper.RoundTrip(r)
	reads, ours := r.Context().Value(batchKey{}).(*batchReads)
	user, isUser := strings.CutPrefix(r.URL.Path, "/api/users/")
	if err != nil || !ours || !isUser || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	user = strings.TrimSuffix(user, ".json")
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if old, ok := reads.answers[user]; ok && reads.held[user] {
		body = old
	}
	reads.held[user], reads.answers[user] = false, body
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return answer, nil
}

// forgetful names the user that asks as the owner of an identity whose member is linked.
type forgetful struct{ objectstore.Store }

func (f forgetful) Put(ctx context.Context, o objectstore.Object) (string, error) {
	asks, ours := ctx.Value(batchKey{}).(*int64)
	if _, user, isRow := strings.Cut(o.Key, "/rows/"); ours && isRow {
		*asks, _ = strconv.ParseInt(user, 10, 64)
	}
	return f.Store.Put(ctx, o)
}

func (f forgetful) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	asks, ours := ctx.Value(batchKey{}).(*int64)
	if !ours {
		return f.Store.Get(ctx, key)
	}
	return reread{f.Store, "/identities/", func(_ int64, bearer map[string]any) {
		if bearer["link"] != nil {
			bearer["owner"] = *asks
		}
	}}.Get(ctx, key)
}
