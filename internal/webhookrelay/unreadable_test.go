package webhookrelay_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/reconcile"
)

const peopleMapping = `
login_id: email
column01: full_name
column02: e164(mobile, "JP")
column03: date(field_1, "Asia/Tokyo")
column04: 'credit > 100 ? "gold" : "plain"'
column05: join("/", full_name, e164(phone, "JP"))
column06: left(field_2, 2)
`

// emptyingMapping is the same without the guard: what cannot be read is "".
var emptyingMapping = strings.NewReplacer(
	`e164(mobile, "JP")`, `default(e164(mobile, "JP"), "")`, `date(field_1, "Asia/Tokyo")`, `default(date(field_1, "Asia/Tokyo"), "")`,
	`credit > 100 ? "gold" : "plain"`, `default(credit > 100 ? "gold" : "plain", "")`, `e164(phone, "JP"))`, `default(e164(phone, "JP"), ""))`,
	`left(field_2, 2)`, `default(left(field_2, 2), "")`,
).Replace(peopleMapping)

// unreadableText is in no column.
const unreadableText = "\x00"

// A fieldCase is what a user's field may hold, and what comes of it.
type fieldCase struct{ written, want string }

var fieldCases = map[string][]fieldCase{ // by field; the fields and columns of peopleMapping
	"mobile": {
		{"090-1000-0001", "+819010000001"}, {"03-1000-0001(内)5", "+81310000001"}, {"なし", unreadableText}, {"090-1000-001", unreadableText},
		{"", ""}, {"　", ""}, {"+886 900-000-000", "+886900000000"}, {"03-1000-00011", unreadableText},
	},
	"field_1": {
		{"令和元年7月27日", "2019-07-27 00:00:00"}, {"2000/1/2(日)", "2000-01-02 00:00:00"}, {"101/05/25", unreadableText}, {"2000/1/2(月)", unreadableText},
		{"", ""}, {"秘密", unreadableText},
	},
	"credit":  {{"150", "gold"}, {"99.5", "plain"}, {"-", unreadableText}, {"多い", unreadableText}},
	"field_2": {{"会員ランク", "会員"}, {"", ""}},
	"phone":   {{"03-1000-0002", "/+81310000002"}, {"03-1000", unreadableText}, {"", ""}},
}

var columnOf = map[string]string{"mobile": "column02", "field_1": "column03", "credit": "column04", "field_2": "column06", "phone": "column05"}

// people are users with any of those values, and what their members show.
type people struct {
	*rig

	random *rand.Rand
	shown  map[int64]map[string]string
	unread map[int64][]string
}

// change gives a user other values.
func (p *people) change(user int64) {
	name := fmt.Sprintf("会員 %d", p.random.IntN(1000))
	fields, shown := map[string]any{"full_name": name}, p.shown[user]
	shown["column01"] = name
	p.unread[user] = nil
	for _, field := range slices.Sorted(maps.Keys(fieldCases)) {
		c := fieldCases[field][p.random.IntN(len(fieldCases[field]))]
		fields[field] = c.written
		switch {
		case c.want == unreadableText:
			p.unread[user] = append(p.unread[user], columnOf[field])
		case field == "phone":
			shown[columnOf[field]] = name + c.want
		default:
			shown[columnOf[field]] = c.want
		}
	}
	slices.Sort(p.unread[user])
	p.shop.ChangeUser(user, fields)
}

// wrong counts the columns that are not as they should be.
func (p *people) wrong() (columns, wrong, unread int) {
	for user, shown := range p.shown {
		values := p.member(unique(user)).Values
		for column, want := range shown {
			columns++
			if values[column] != want {
				wrong++
				if wrong < 5 {
					p.t.Logf("%s of %d: %q, want %q", column, user, values[column], want)
				}
			}
		}
		unread += len(p.unread[user])
	}
	return columns, wrong, unread
}

// proveUnreadable lets users change so often, told of by webhooks and found by
// reconciles in turn, and returns how many columns were looked at and wrong, and
// how many values were unreadable.
func proveUnreadable(t *testing.T, mapping string, replace, declared bool, rounds int) (columns, wrong, unread int) {
	p := &people{rig: newRig(t), random: prove.Random(14), shown: map[int64]map[string]string{}, unread: map[int64][]string{}}
	p.mapping, p.crm.Replace = mapping, replace
	if declared {
		p.quirks = `{"update":"replace"}`
	}
	for i := range 25 {
		user := p.person(fmt.Sprintf("会員%02d", i))
		p.shown[user] = map[string]string{}
		p.change(user)
	}
	users := slices.Sorted(maps.Keys(p.shown))
	for round := range rounds {
		if round > 0 {
			for _, user := range users {
				p.change(user)
			}
		}
		p.drop()
		if round%2 == 0 {
			p.reconcile()
		} else {
			for _, user := range users {
				p.send(user, "change")
			}
		}
		time.Sleep(time.Hour)
		for p.queue.len() > 0 {
			p.work()
			time.Sleep(time.Minute)
		}
		c, w, u := p.wrong()
		columns, wrong, unread = columns+c, wrong+w, unread+u
		if wrong > 0 {
			return columns, wrong, unread
		}
		if mapping == peopleMapping {
			p.named(t, users)
		}
	}
	return columns, wrong, unread
}

// named wants no difference in what cannot be read, and each named by user and
// field.
func (p *people) named(t *testing.T, users []int64) {
	t.Helper()
	p.drop()
	report, differences, err := reconcile.New(p.stack(), p.queue).DryRun(context.Background())
	if err != nil || len(differences) != 0 {
		t.Errorf("differences %v, %v; want none", differences, err)
	}
	named, bad := map[int64][]string{}, 0
	for _, u := range report.Named {
		named[u.User] = u.Fields
	}
	for _, user := range users {
		if len(p.unread[user]) > 0 {
			bad++
		}
		if !slices.Equal(named[user], p.unread[user]) {
			t.Errorf("user %d: %v are named, want %v", user, named[user], p.unread[user])
		}
	}
	if report.UnreadableUsers != bad {
		t.Errorf("%d unreadable users, want %d", report.UnreadableUsers, bad)
	}
}

// TestProveUnreadable: over the whole relay, what cannot be read changes no column.
func TestProveUnreadable(t *testing.T) {
	for name, replace := range map[string]bool{"partial": false, "replace": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				columns, wrong, unread := proveUnreadable(t, peopleMapping, replace, replace, prove.Size(400, 6))
				prove.Figure(t, wrong == 0 && unread > 0, "columns after updates that are "+name, "0 wrong", "%d of %d; %d values unreadable", wrong, columns, unread)
			})
		})
	}
}

// Each of its guards removed, a column is emptied.
func TestProveUnreadable_WithoutItsGuards(t *testing.T) {
	for name, c := range map[string]struct {
		mapping           string
		replace, declared bool
	}{
		"what cannot be read sent as nothing": {emptyingMapping, false, false},
		"nothing carried back":                {peopleMapping, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, wrong, _ := proveUnreadable(t, c.mapping, c.replace, c.declared, 6)
				prove.Figure(t, wrong > 0, "columns with "+name, "must fail", "%d wrong", wrong)
			})
		})
	}
}

// The share of users with a field that cannot be read is measured from 20 users on.
func TestReconcile_MeasuresWhatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		users, unread int
		want          float64
	}{"nobody": {25, 0, 0}, "some": {24, 2, 8}, "few users": {10, 5, 0}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				for i := range c.users {
					user := r.person(fmt.Sprintf("会員%02d", i))
					if i < c.unread {
						r.shop.Quiet().ChangeUser(user, map[string]any{"mobile": "なし"})
					}
				}
				report := r.reconcile()
				if report.UnreadableUsers != c.unread || report.Named != nil || r.metrics.get("UnreadableShare") != c.want {
					t.Errorf("report %+v, share %v, want %v", report, r.metrics.get("UnreadableShare"), c.want)
				}
			})
		})
	}
}

// Yappli never shows a secret answer. Where an update resets the fields it omits, a
// user whose secret answer cannot be read is not updated.
func TestRelay_LeavesAnAnswerThatNobodyCanCarryBack(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mapping = "column01: full_name\nsecret_answer: e164(mobile, 'JP')\n"
		r.crm.Replace, r.quirks = true, `{"update":"replace"}`
		user := r.linked("卯")
		r.shop.ChangeUser(user, map[string]any{"full_name": "卯 改", "mobile": "なし"})
		writes := r.crm.Count("PUT /api/ext/users/{id}")
		r.relay(user, "change")
		r.wantOutcome("unreadable_answer")
		r.shop.ChangeUser(user, map[string]any{"mobile": "03-1000-0001"})
		r.relay(user, "change")
		r.wantOutcome("updated")
		if n := r.crm.Count("PUT /api/ext/users/{id}") - writes; n != 1 {
			t.Fatalf("%d updates, want 1", n)
		}
	})
}
