package proverelay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// answer is a response out of nowhere.
func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// serve replaces the token that callers read, as if a wrong connection had been
// believed.
func (r *rig) serve(token providers.Token) {
	r.Helper()
	name := secretstore.Name(prefix, token.Provider, secretstore.TokenPart)
	if err := r.aws.Secrets.Put(r.Context(), name, uuid.NewString(), token.Document(), secretstore.Current); err != nil {
		r.Fatal(err)
	}
}

// at sends what is for a host to another server.
func (r *rig) at(host string, there http.RoundTripper) {
	r.instead = func(q *http.Request) *http.Response {
		if q.URL.Host != host {
			return nil
		}
		response, err := there.RoundTrip(q)
		if err != nil {
			r.Error(err)
		}
		return response
	}
}

// elsewhere sends the booking account's callers to an address that answers all
// of them alike.
func elsewhere(status int, body string) func(r *rig) {
	return func(r *rig) {
		r.at("elsewhere.test", roundTrip(func(*http.Request) (*http.Response, error) { return answer(status, body), nil }))
		r.serve(r.shop.Token("https://elsewhere.test"))
	}
}

// otherAccount is one with users of its own; their numbers are nobody else's.
func otherAccount(r *rig) {
	other := supersaastest.New(sandbox.Options{Records: -1, Rate: -1})
	var list []string
	for i := range 30 {
		list = append(list, fmt.Sprintf(`{"id":%d,"name":"other%02d@mail.example","email":"other%02d@mail.example","full_name":"別店 %d"}`, 99_000_000+i, i, i, i))
	}
	if err := other.Load(strings.NewReader(`{"users":[` + strings.Join(list, ",") + `]}`)); err != nil {
		r.Fatal(err)
	}
	other.Account = "other_salon"
	r.at("other.test", other.Client().Transport)
	r.serve(other.Token("https://other.test"))
}

// newSettings starts relay and reconcile again with other settings.
func newSettings(name, value string) func(r *rig) {
	return func(r *rig) {
		r.options.vars[name] = value
		r.register(localstack.Relay)
		r.register(localstack.Reconcile)
	}
}

// failingFrom answers 503 to a list's later pages.
func failingFrom(path string) func(r *rig) {
	return func(r *rig) {
		r.instead = func(q *http.Request) *http.Response {
			if q.URL.Path == path && q.URL.Query().Get("offset") > "0" {
				return answer(http.StatusServiceUnavailable, `{"error":"unavailable"}`)
			}
			return nil
		}
	}
}

func emptied(r *rig) {
	for _, id := range r.ids() {
		r.shop.Quiet().DeleteUser(id)
	}
}

// situations are what must never disable anybody.
var situations = map[string]func(r *rig){
	"another account":                     otherAccount,
	"wrong base URL, 404 everywhere":      elsewhere(http.StatusNotFound, `{"error":"not_found"}`),
	"wrong base URL, 200 everywhere":      elsewhere(http.StatusOK, `{}`),
	"wrong base URL, empty everywhere":    elsewhere(http.StatusOK, `[]`),
	"wrong base URL, a stranger for each": elsewhere(http.StatusOK, `{"id":7,"name":"a@mail.example","deleted":true}`),
	"another Yappli tenant":               otherTenant,
	"another identity":                    newSettings("HIKYAKU_IDENTITY", "fk"),
	"another identity prefix":             newSettings("HIKYAKU_IDENTITY_PREFIX", "new-"),
	"an emptied account":                  emptied,
	"an empty list of users":              func(r *rig) { r.shop.Knobs.Skip = func(int64) bool { return true } },
	"a list of users that skips rows":     func(r *rig) { r.shop.Knobs.Skip = func(id int64) bool { return id%2 == 0 } },
	"a list of users that fails half-way": failingFrom("/api/users.json"),
	"an empty list of members":            func(r *rig) { r.crm.Skip = func(string) bool { return true } },
	"a list of members that skips rows":   func(r *rig) { r.crm.Skip = func(id string) bool { return id[len(id)-1]%2 == 0 } },
	"a list of members that fails":        failingFrom("/api/ext/users"),
}

// otherTenant has members of its own.
func otherTenant(r *rig) {
	other := yapplitest.New(sandbox.Options{Seed: 7, Records: 30, Rate: -1})
	before := other.Members()
	r.at("tenant.test", other.Client().Transport)
	r.serve(other.Token("https://tenant.test"))
	r.Cleanup(func() {
		for _, m := range before {
			if now, _ := other.Find(m.ID); !bytes.Equal(now.JSON(), m.JSON()) {
				r.Errorf("the other tenant's member %s changed", m.ID)
			}
		}
	})
}

// astray is how many members of a stack that was well are disabled after a
// situation, two reconciles until they give up, and webhooks that say that everybody is
// gone; and whether the members of others are as they were.
func astray(t *testing.T, situation func(r *rig)) (disabled int, untouched bool) {
	t.Helper()
	o := options{users: 40, members: 80, unlimited: true, vars: map[string]string{"HIKYAKU_DISABLE_CAP": "1000000"}}
	inBubble(t, o, func(r *rig) {
		r.reconcile()
		r.poll()
		r.drained(day)
		foreign, ids := r.foreign(), r.ids()
		situation(r)
		time.Sleep(6 * time.Minute) // what was read before is believed for five
		for _, id := range ids {
			r.webhook(map[string]any{"id": id, "event": "delete", "deleted": true})
		}
		for range 2 {
			r.running.Go(func() { _, _, _ = r.loop().run(r.ctx, `{"action":"reconcile"}`) })
			time.Sleep(5 * time.Hour)
		}
		for _, m := range r.crm.Members() {
			if m.Values["enabled"] == "0" {
				disabled++
			}
		}
		untouched = bytes.Equal(r.foreign(), foreign)
	})
	return disabled, untouched
}

// webhook posts what SuperSaaS would.
func (r *rig) webhook(body map[string]any) {
	r.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		r.Fatal(err)
	}
	q, err := http.NewRequestWithContext(r.ctx, http.MethodPost, "https://api.test/webhook/"+hookSecret, bytes.NewReader(raw))
	if err != nil {
		r.Fatal(err)
	}
	response, err := r.shop.Poster.RoundTrip(q)
	if err != nil || response.StatusCode != http.StatusOK {
		r.Fatalf("webhook: %v, %v", response, err)
	}
}

func TestNobodyIsDisabled(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	var failed []string
	for name, situation := range situations {
		if disabled, untouched := astray(t, situation); disabled > 0 || !untouched {
			failed = append(failed, fmt.Sprintf("%s: %d disabled, others untouched %t", name, disabled, untouched))
		}
	}
	slices.Sort(failed)
	prove.Figure(t, len(failed) == 0, "wrong accounts, addresses, tenants, identities and lists", "nobody disabled, members of others byte-equal",
		"%d situations, wrong in %d %q", len(situations), len(failed), failed)
}

// Without the two reads that a list or a webhook is checked by, people are
// disabled: of an emptied account all, of a list that skips rows the skipped.
func TestNobodyIsDisabled_WithoutTheChecks(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	believed, _ := astray(t, func(r *rig) {
		emptied(r)
		r.instead = func(q *http.Request) *http.Response {
			if strings.HasPrefix(q.URL.Path, "/api/users") && q.URL.Query().Get("limit") == "1" {
				return answer(http.StatusOK, `[{"id":7,"name":"a@mail.example"}]`)
			}
			return nil
		}
	})
	prove.Figure(t, believed == 40, "guard removed: an account is believed that shows nobody", "must disable all 40", "%d disabled", believed)
	skipped, _ := astray(t, func(r *rig) {
		r.shop.Knobs.Skip = func(id int64) bool { return id%2 == 0 }
		r.instead = func(q *http.Request) *http.Response {
			if id, single := strings.CutPrefix(q.URL.Path, "/api/users/"); single && (id[len(strings.TrimSuffix(id, ".json"))-1]-'0')%2 == 0 {
				return answer(http.StatusNotFound, `{}`)
			}
			return nil
		}
	})
	prove.Figure(t, skipped == 20, "guard removed: the single read says what the list says", "must disable the 20 skipped", "%d disabled", skipped)
}
