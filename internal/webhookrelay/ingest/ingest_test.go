package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/webhookrelay/ingest"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/pkg/providers"
)

const hookSecret = "invented-secret-000"

func newIngest(q queue.Queue, m counts, secrets ...string) *ingest.Ingest {
	return &ingest.Ingest{
		Secrets: func(context.Context) (list []providers.Secret) {
			for _, s := range secrets {
				list = append(list, providers.NewSecret(s))
			}
			return list
		},
		Queue: q, Log: slog.New(slog.DiscardHandler), Metrics: m,
		Now: func() time.Time { return time.Unix(1795310109, 0) },
	}
}

func TestIngest_QueuesWhatNamesAUser(t *testing.T) {
	t.Parallel()
	change := func(user int64) []queue.Message {
		return []queue.Message{{User: user, Event: "change", At: time.Unix(1795310109, 0).UTC()}}
	}
	for name, c := range map[string]struct {
		body   string
		want   []queue.Message
		metric string
	}{
		"user":                           {`{"id":7,"event":"change"}`, change(7), "WebhookAccepted user"},
		"id as text":                     {`{"id":"7","event":"change"}`, change(7), "WebhookAccepted user"},
		"byte order mark":                {"\xef\xbb\xbf {\"id\":7,\"event\":\"change\"}", change(7), "WebhookAccepted user"},
		"form":                           {`event=change&id=7&full_name=%E5%B1%B1`, change(7), "WebhookAccepted user"},
		"stand-alone form":               {`{"id":9,"super_form_id":3,"user_id":7,"event":"change"}`, change(7), "WebhookAccepted form"},
		"form body of a form":            {`event=change&id=9&super_form_id=3&user_id=7`, change(7), "WebhookAccepted form"},
		"form without a user":            {`{"id":9,"super_form_id":3,"user_id":null,"event":"change"}`, nil, "WebhookIgnored no_user"},
		"user with null fields":          {`{"id":7,"user_id":null,"super_form_id": null ,"event":"change"}`, change(7), "WebhookAccepted user"},
		"form body with blanks":          {`event=change&id=7&user_id=&super_form_id=`, change(7), "WebhookAccepted user"},
		"administrator's booking":        {`{"id":9,"user_id":0,"event":"create"}`, nil, "WebhookIgnored no_user"},
		"purchase by e-mail":             {`{"id":9,"email":"a@mail.example","event":"purchase"}`, nil, "WebhookIgnored no_user"},
		"user without an id":             {`{"event":"new"}`, nil, "WebhookIgnored no_user"},
		"negative id":                    {`{"id":-7,"event":"new"}`, nil, "WebhookIgnored no_user"},
		"id that is no number":           {`{"id":"x","event":"new"}`, nil, "WebhookIgnored no_user"},
		"user id as an object":           {`{"id":1,"user_id":{},"event":"edit"}`, nil, "WebhookIgnored no_user"},
		"unknown event":                  {`{"id":7,"event":"merged"}`, nil, "WebhookIgnored unknown_event"},
		"unknown event of another shape": {`{"id":{"of":7},"deleted":[],"event":"merged"}`, nil, "WebhookIgnored unknown_event"},
		"restored form": {`{"id":9,"super_form_id":3,"user_id":7,"event":"restore"}`,
			[]queue.Message{{User: 7, Event: "restore", At: time.Unix(1795310109, 0).UTC()}}, "WebhookAccepted form"},
		"no event": {`{"id":7}`, nil, "WebhookIgnored unknown_event"},
		"array": {`[{"id":7,"event":"change"},{"id":7,"event":"?"},{"id":8,"event":"change"}]`,
			append(change(7), change(8)...), "WebhookAccepted user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, m := &memory{}, counts{}
			got := newIngest(q, m, hookSecret).Accept(context.Background(), ingest.Request{ID: "r", Secret: providers.NewSecret(hookSecret), Body: []byte(c.body)})
			if got.Status != 200 || got.RetryAfter != 0 || got.Text != "accepted" {
				t.Fatalf("answer = %+v, want 200", got)
			}
			messages := q.bodies()
			if len(messages) != len(c.want) {
				t.Fatalf("queued %+v, want %+v", messages, c.want)
			}
			for i := range messages {
				if messages[i] != c.want[i] {
					t.Errorf("message %d = %+v, want %+v", i, messages[i], c.want[i])
				}
			}
			if m[c.metric] == 0 {
				t.Errorf("metrics = %v, want %s", m, c.metric)
			}
		})
	}
}

func TestIngest_KnowsEveryEvent(t *testing.T) {
	t.Parallel()
	for object, events := range map[string]string{
		"user": "new change delete", "purchase": "purchase",
		"appointment": "create edit destroy place pending restore approve revert",
	} {
		for _, event := range strings.Fields(events) {
			q, m := &memory{}, counts{}
			body := `{"id":5,"user_id":6,"event":"` + event + `"}`
			want := int64(6)
			if object == "user" {
				body, want = `{"id":5,"event":"`+event+`"}`, 5
			}
			newIngest(q, m, hookSecret).Accept(context.Background(), ingest.Request{ID: "r", Secret: providers.NewSecret(hookSecret), Body: []byte(body)})
			if got := q.bodies(); len(got) != 1 || got[0].User != want || m["WebhookAccepted "+object] != 1 {
				t.Errorf("%s: queued %+v, metrics %v; want user %d as %s", event, got, m, want, object)
			}
		}
	}
}

func TestIngest_MarksDeletions(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"id":7,"event":"change","deleted":true}`: true, `{"id":7,"event":"change","deleted":"1"}`: true,
		`{"id":7,"event":"change","deleted":false}`: false, `{"id":7,"event":"change","deleted":null}`: false,
		`event=change&id=7&deleted=true`: true, `event=change&id=7&deleted=1`: true, `event=change&id=7&deleted=0`: false,
	} {
		q := &memory{}
		newIngest(q, counts{}, hookSecret).Accept(context.Background(), ingest.Request{ID: "r", Secret: providers.NewSecret(hookSecret), Body: []byte(body)})
		if got := q.bodies(); len(got) != 1 || got[0].Deleted != want {
			t.Errorf("%s: queued %+v, want deleted %v", body, got, want)
		}
	}
}

func TestIngest_DeduplicatesByRequestAndPlace(t *testing.T) {
	t.Parallel()
	q := &memory{}
	in := newIngest(q, counts{}, hookSecret)
	body := []byte(`[{"id":7,"event":"change"},{"id":7,"event":"change"}]`)
	for _, id := range []string{"r1", "r1", "r2"} {
		in.Accept(context.Background(), ingest.Request{ID: id, Secret: providers.NewSecret(hookSecret), Body: body})
	}
	var dedups []string
	for _, m := range q.messages {
		dedups = append(dedups, m.Group+" "+m.Dedup)
	}
	if got := strings.Join(dedups, ","); got != "7 r1-0,7 r1-1,7 r2-0,7 r2-1" {
		t.Errorf("queued %s", got)
	}
}

// Requests without an id are different ones: one user's event must not hide
// another's.
func TestIngest_KeepsRequestsWithoutAnIDApart(t *testing.T) {
	t.Parallel()
	q := &memory{}
	in := newIngest(q, counts{}, hookSecret)
	for _, body := range []string{`{"id":7,"event":"change"}`, `{"id":8,"event":"change"}`} {
		in.Accept(context.Background(), ingest.Request{Secret: providers.NewSecret(hookSecret), Body: []byte(body)})
	}
	if got := q.bodies(); len(got) != 2 || got[0].User != 7 || got[1].User != 8 {
		t.Errorf("queued %+v, want both users", got)
	}
}

func TestIngest_Rejects(t *testing.T) {
	t.Parallel()
	valid := `{"id":7,"event":"change"}`
	for name, c := range map[string]struct {
		secrets []string
		field   string
		sent    string
		body    string
		refuse  bool
		status  int
		reason  string
	}{
		"current secret":           {[]string{hookSecret, "old"}, "", hookSecret, valid, false, 200, ""},
		"previous secret":          {[]string{hookSecret, "old"}, "", "old", valid, false, 200, ""},
		"wrong secret":             {[]string{hookSecret, "old"}, "", "older", valid, false, 401, "wrong_secret"},
		"prefix of the secret":     {[]string{hookSecret}, "", hookSecret[:5], valid, false, 401, "wrong_secret"},
		"empty secret":             {[]string{hookSecret, ""}, "", "", valid, false, 401, "wrong_secret"},
		"wrong secret, bad shape":  {[]string{hookSecret}, "", "x", "nonsense", false, 401, "wrong_secret"},
		"no secret set":            {nil, "", "", valid, false, 503, "no_secret"},
		"only an empty secret":     {[]string{""}, "", "", valid, false, 503, "no_secret"},
		"secret in the payload":    {[]string{hookSecret}, "key", "", `{"id":7,"event":"change","key":"` + hookSecret + `"}`, false, 200, ""},
		"secret in a form":         {[]string{hookSecret}, "key", "", `id=7&event=change&key=` + hookSecret, false, 200, ""},
		"payload without a secret": {[]string{hookSecret}, "key", hookSecret, valid, false, 401, "wrong_secret"},
		"one of two without":       {[]string{hookSecret}, "key", "", `[{"id":7,"event":"change","key":"` + hookSecret + `"},` + valid + `]`, false, 401, "wrong_secret"},
		"secret of another type":   {[]string{hookSecret}, "key", "", `{"id":7,"event":"change","key":["` + hookSecret + `"]}`, false, 401, "wrong_secret"},
		"queue refuses":            {[]string{hookSecret}, "", hookSecret, valid, true, 503, "queue"},
		"queue not needed":         {[]string{hookSecret}, "", hookSecret, `{"id":7,"event":"?"}`, true, 200, ""},
		"empty body":               {[]string{hookSecret}, "", hookSecret, "", false, 400, "wrong_shape"},
		"blank body":               {[]string{hookSecret}, "", hookSecret, " \n", false, 400, "wrong_shape"},
		"truncated":                {[]string{hookSecret}, "", hookSecret, `{"id":7,`, false, 400, "wrong_shape"},
		"empty array":              {[]string{hookSecret}, "", hookSecret, `[]`, false, 400, "wrong_shape"},
		"array of numbers":         {[]string{hookSecret}, "", hookSecret, `[1]`, false, 400, "wrong_shape"},
		"half good":                {[]string{hookSecret}, "", hookSecret, `[` + valid + `,null]`, false, 400, "wrong_shape"},
		"text":                     {[]string{hookSecret}, "", hookSecret, "hello", false, 400, "wrong_shape"},
		"bad escapes":              {[]string{hookSecret}, "", hookSecret, "event=%zz", false, 400, "wrong_shape"},
		"event is an object":       {[]string{hookSecret}, "", hookSecret, `{"id":7,"event":{}}`, false, 400, "wrong_shape"},
		"at the cap":               {[]string{hookSecret}, "", hookSecret, valid + strings.Repeat(" ", ingest.MaxBody-len(valid)), false, 200, ""},
		"above the cap":            {[]string{hookSecret}, "", hookSecret, valid + strings.Repeat(" ", ingest.MaxBody-len(valid)+1), false, 400, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, m := &memory{refuse: c.refuse}, counts{}
			in := newIngest(q, m, c.secrets...)
			in.SecretField = c.field
			got := in.Accept(context.Background(), ingest.Request{ID: "r", Secret: providers.NewSecret(c.sent), Body: []byte(c.body)})
			wantRetry := time.Duration(0)
			if c.status == 503 {
				wantRetry = 30 * time.Second
			}
			wantText := map[int]string{200: "accepted", 400: "bad request", 401: "not authorized", 503: "try again later"}[c.status]
			if got.Status != c.status || got.RetryAfter != wantRetry || got.Text != wantText {
				t.Fatalf("answer = %+v, want %d, %v, %q", got, c.status, wantRetry, wantText)
			}
			if c.reason != "" && (m["WebhookRejected "+c.reason] != 1 || len(q.messages) != 0) {
				t.Errorf("metrics = %v, %d queued; want one %s and nothing queued", m, len(q.messages), c.reason)
			}
			if accepted := m["WebhookAccepted user"]; c.reason == "" && m["WebhookRejected queue"] != 0 || c.status != 200 && accepted != 0 {
				t.Errorf("metrics = %v", m)
			}
		})
	}
}

func TestIngest_CountsWhatNeverReachedIt(t *testing.T) {
	t.Parallel()
	m := counts{}
	if got := newIngest(&memory{}, m).Reject("wrong_shape"); got.Status != 400 || m["WebhookRejected wrong_shape"] != 1 {
		t.Errorf("answer = %+v, metrics %v", got, m)
	}
}

// What a person would call the same number is the same user.
func TestIngest_ReadsAnIDAsAPersonWould(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]int64{
		`20450010.0`: 20450010, `" 20450010 "`: 20450010, `20450010.000`: 20450010, `2.045001e7`: 20450010, `2.045001E+07`: 20450010, `204500100e-1`: 20450010,
		`"20450010.0"`: 20450010, `"+20450010"`: 20450010, `"0020450010"`: 20450010, `"20450010."`: 20450010, `"2.045001e7"`: 20450010,
		`"２０４５００１０"`: 20450010, `"　20450010\u00a0\n"`: 20450010, `"\ufeff20450010\u200b"`: 20450010, `9223372036854775807`: 9223372036854775807,
		`20450010.5`: 0, `20450010.00000000000000000001`: 0, `2.0450015e1`: 0, `9223372036854775808`: 0, `1e99`: 0, `1e999999999`: 0, `0.0`: 0, `-20450010`: 0,
		`"20,450,010"`: 0, `"2045 0010"`: 0, `"0x1380DEA"`: 0, `"1_000"`: 0, `"NaN"`: 0, `"Inf"`: 0, `"."`: 0, `""`: 0, `true`: 0, `null`: 0,
	} {
		for _, body := range []string{`{"event":"change","id":` + id + `}`, `{"event":"edit","id":1,"user_id":` + id + `}`} {
			q, m := &memory{}, counts{}
			got := newIngest(q, m, hookSecret).Accept(context.Background(), ingest.Request{ID: "r", Secret: providers.NewSecret(hookSecret), Body: []byte(body)})
			var user int64
			if messages := q.bodies(); len(messages) == 1 {
				user = messages[0].User
			}
			if got.Status != 200 || user != want || (m["WebhookIgnored no_user"] == 1) != (want == 0) {
				t.Errorf("%s: %d, queued for %d, metrics %v; want %d", body, got.Status, user, m, want)
			}
		}
	}
}

// A body of more users than any sender of ours is known to send is refused
// whole, and only from one who has the secret: a stranger raises no alarm.
func TestIngest_RefusesABodyOfTooManyUsers(t *testing.T) {
	t.Parallel()
	body := func(n int) []byte {
		return []byte("[" + strings.Repeat(`{"event":"change","id":7,"key":"`+hookSecret+`"},`, n-1) + `{"event":"change","id":8,"key":"` + hookSecret + `"}]`)
	}
	for _, field := range []string{"", "key"} {
		for n, status := range map[int]int{10: 200, 11: 400, 4000: 400} {
			q, m := &memory{}, counts{}
			in := newIngest(q, m, hookSecret)
			in.SecretField = field
			got := in.Accept(context.Background(), ingest.Request{ID: "r", Secret: providers.NewSecret(hookSecret), Body: body(n)})
			if got.Status != status || (len(q.messages) > 0) != (status == 200) || (m["WebhookRejected too_many"] == 1) != (status == 400) {
				t.Errorf("%d users: %+v, %d queued, metrics %v, want %d", n, got, len(q.messages), m, status)
			}
			in = newIngest(q, m, "another-secret")
			in.SecretField = field
			if got := in.Accept(context.Background(), ingest.Request{ID: "r", Secret: providers.NewSecret(hookSecret), Body: body(n)}); got.Status != 401 {
				t.Errorf("%d users of a stranger: %+v, want 401", n, got)
			}
		}
	}
}

func TestIngest_KeepsTheTimeOfArrival(t *testing.T) {
	t.Parallel()
	q, at := &memory{}, time.Date(2026, 11, 22, 10, 15, 9, 0, time.FixedZone("JST", 9*3600))
	newIngest(q, counts{}, hookSecret).Accept(context.Background(), ingest.Request{ID: "r", At: at, Secret: providers.NewSecret(hookSecret), Body: []byte(`{"id":7,"event":"change"}`)})
	if got := q.bodies(); len(got) != 1 || got[0].At != at.UTC() {
		t.Errorf("queued %+v, want %v in UTC", got, at)
	}
}

func FuzzIngest(f *testing.F) {
	for _, seed := range []string{`{"id":7,"event":"change"}`, `[{"id":"7","event":"new"}]`, `id=7&event=change`, `{"user_id":{},"event":"edit"}`, "\xef\xbb\xbf[", `{"event":1,"deleted":[]}`} {
		f.Add([]byte(seed), "key")
		f.Add([]byte(seed), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, field string) {
		q := &memory{}
		in := newIngest(q, counts{}, hookSecret)
		in.SecretField = field
		got := in.Accept(context.Background(), ingest.Request{ID: "r", Secret: providers.NewSecret(hookSecret), Body: body})
		if got.Status != 200 && len(q.messages) > 0 {
			t.Errorf("status %d with %d messages queued", got.Status, len(q.messages))
		}
		for _, m := range q.messages {
			if _, err := queue.ParseMessage(m.Body); err != nil || bytes.Contains(m.Body, []byte(hookSecret)) || !json.Valid(m.Body) {
				t.Errorf("queued %q, %v", m.Body, err)
			}
		}
	})
}

func BenchmarkIngest(b *testing.B) {
	in := newIngest(discard{}, counts{}, hookSecret)
	body := []byte(`{"id":20450004,"event":"change","full_name":"` + strings.Repeat("見本", 300) + `"}`)
	for b.Loop() {
		in.Accept(context.Background(), ingest.Request{ID: "r", Secret: providers.NewSecret(hookSecret), Body: body})
	}
}

type discard struct{}

func (discard) Send(context.Context, ...queue.Envelope) error { return nil }

// A memory queue keeps what it is sent.
type memory struct {
	messages []queue.Envelope
	refuse   bool
}

func (q *memory) Send(_ context.Context, envelopes ...queue.Envelope) error {
	if q.refuse {
		return errors.New("queue refuses")
	}
	for _, e := range envelopes {
		if !slices.ContainsFunc(q.messages, func(m queue.Envelope) bool { return m.Dedup == e.Dedup }) {
			q.messages = append(q.messages, e)
		}
	}
	return nil
}

// bodies returns the messages as they lie there.
func (q *memory) bodies() (list []queue.Message) {
	for _, e := range q.messages {
		var m queue.Message
		if json.Unmarshal(e.Body, &m) == nil {
			list = append(list, m)
		}
	}
	return list
}

// counts adds up what is measured, by name and value.
type counts map[string]float64

func (c counts) Add(name, _ string, value float64, dimensions map[string]string) {
	for _, v := range dimensions {
		name += " " + v
	}
	c[name] += value
}
