package webhookrelay_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/mapping"
)

// newMapping puts the name into another column than testMapping.
var newMapping = strings.Replace(testMapping, "column01: full_name", "column05: full_name", 1)

// published is what an instance of the function holds, before and after it saw
// that another mapping was published.
type published struct {
	old, now *mapping.Mapping
	changed  bool
}

func (p *published) Current(context.Context, string) (*mapping.Mapping, error) { return p.Held(), nil }

func (p *published) Held() *mapping.Mapping {
	if p.changed {
		return p.now
	}
	return p.old
}

func mustParse(t *testing.T, source string) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Parse("mapping.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// changes are jobs that write, each for a user with whom they begin.
var changes = map[string]func(*rig) (user int64, event string){
	"create": func(r *rig) (int64, string) {
		user := r.person("hana")
		r.reconcile()
		r.drop()
		return user, "new"
	},
	"update": func(r *rig) (int64, string) {
		user := r.linked("hana")
		r.shop.ChangeUser(user, map[string]any{"full_name": "hanako"})
		return user, "change"
	},
	"disable": func(r *rig) (int64, string) {
		user := r.linked("hana")
		r.shop.DeleteUser(user)
		return user, "delete"
	},
}

// Wherever in a job another mapping is published, what the old one made of the
// user is not written from then on; the message goes back, and the next job
// writes what the new one makes. Where the instance does not compare, the old
// one's is written.
func TestRelay_WritesNothingByAnOldMapping(t *testing.T) {
	t.Parallel()
	for name, begin := range changes {
		for _, guarded := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, guarded %v", name, guarded), func(t *testing.T) {
				t.Parallel()
				c := &changing{begin: begin, guarded: guarded}
				points := c.requests(t, -1)
				for at := range points {
					c.requests(t, at)
				}
				what, bar := "a mapping published before each request of a job", "0"
				if !guarded {
					what, bar = "guard removed: the same, where the instance does not compare", "more than 0"
				}
				prove.Figure(t, guarded == (c.stale == 0), what+", "+name, bar, "%d of %d written by the old one", c.stale, points)
			})
		}
	}
}

// changing is one kind of job, tried with a change before each of its requests.
type changing struct {
	begin   func(*rig) (user int64, event string)
	guarded bool
	stale   int // jobs that wrote after the change
}

// requests publishes before the at-th request of a job, never if that is -1, and
// returns how many the job made.
func (c *changing) requests(t *testing.T, at int) (made int) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.person("keeper")
		p := &published{old: mustParse(t, testMapping), now: mustParse(t, newMapping)}
		user, event := c.begin(r)
		r.outcomes()
		if c.guarded {
			r.mappings = p
		}
		late := false
		r.transport = roundTripper(func(q *http.Request) (*http.Response, error) {
			late = late || p.changed && q.Method != http.MethodGet
			p.changed = p.changed || made == at
			made++
			return both{r.shop, r.crm}.RoundTrip(q)
		})
		r.send(user, event)
		if left := r.work(); left == 1 {
			r.wantOutcome("mapping_changed")
		}
		if late {
			c.stale++
		}
		p.changed, r.transport, r.mapping = true, nil, newMapping
		r.settleAll()
		r.reconcile()
		r.settleAll()
		if m := r.member(unique(user)); event == "delete" && text(m, "enabled") != "0" || event != "delete" && m.Values["column05"] == "" {
			t.Fatalf("member %v, want what the new mapping makes\n%s", m.Values, r.log)
		}
	})
	return made
}
