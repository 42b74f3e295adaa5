package webhookrelay_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/webhookrelay/outcome"
)

// altered puts another text into the answers of a path, and of all below it.
type altered struct {
	next      http.RoundTripper
	path      string
	old, text string
	count     *int
}

func (a altered) RoundTrip(q *http.Request) (*http.Response, error) {
	answer, err := a.next.RoundTrip(q)
	if err != nil || q.Method != http.MethodGet || !strings.HasPrefix(q.URL.Path, strings.TrimSuffix(a.path, ".json")) {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	if bytes.Contains(body, []byte(a.old)) {
		*a.count++
		body = bytes.Replace(body, []byte(a.old), []byte(a.text), 1)
	}
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return answer, err
}

// An oddCase is a record of a list that is not as documented. Users and members
// are one of strangers: USER and MEMBER are their ids.
type oddCase struct {
	path, old, odd string
	unreadable     int  // records that cannot be used
	anybody        bool // it may be anybody's
	named          string
}

var oddCases = map[string]oddCase{
	"a user's address is an array":       {usersPath, `"full_name":"会員 00007"`, `"full_name":"会員 00007","address":["a"]`, 0, false, "fields=[address]"},
	"a user's date is an object":         {usersPath, `"full_name":"会員 00007"`, `"full_name":"会員 00007","updated_on":{"a":1}`, 0, false, "fields=[updated_on]"},
	"a user's date is no date":           {usersPath, `"full_name":"会員 00007"`, `"full_name":"会員 00007","created_on":"昨日"`, 0, false, ""},
	"a user's role and group are null":   {usersPath, `"full_name":"会員 00007"`, `"full_name":"会員 00007","role":null,"group":null,"fk":true`, 0, false, ""},
	"a user's mapped name is an array":   {usersPath, `"full_name":"会員 00007"`, `"full_name":["会員 00007"]`, 0, false, "fields=[full_name]"},
	"a user's id is a text with a blank": {usersPath, `{"id":USER,`, `{"id":" USER ",`, 0, false, ""},
	"a user's id is a fraction":          {usersPath, `{"id":USER,`, `{"id":USER.0,`, 0, false, ""},
	"a user is perhaps deleted":          {usersPath, `"full_name":"会員 00007"`, `"full_name":"会員 00007","deleted":["true"]`, 1, false, "user_id=USER"},
	"a user is deleted, in other words":  {usersPath, `"full_name":"会員 00007"`, `"full_name":"会員 00007","deleted":"いいえ"`, 1, false, "user_id=USER"},
	"a user is not UTF-8":                {usersPath, `"full_name":"会員 00007"`, "\"full_name\":\"\xff\"", 1, false, "user_id=USER"},
	"a user without an id":               {usersPath, `{"id":USER,`, `{`, 1, true, ""},
	"a user whose id is an array":        {usersPath, `{"id":USER,`, `{"id":[USER],`, 1, true, ""},
	"a user whose id is below zero":      {usersPath, `{"id":USER,`, `{"id":-USER,`, 1, true, ""},
	"a user who is null":                 {usersPath, `[{"id"`, `[null,{"id"`, 1, true, ""},
	"a member without an id":             {membersPath, `{"id":"MEMBER",`, `{`, 1, false, "user_id=USER"},
	"a member whose id is null":          {membersPath, `{"id":"MEMBER",`, `{"id":null,`, 1, false, "user_id=USER"},
	"a member whose id is an object":     {membersPath, `{"id":"MEMBER",`, `{"id":{"a":1},`, 1, false, "user_id=USER"},
	"a member whose id is a boolean":     {membersPath, `{"id":"MEMBER",`, `{"id":true,`, 1, false, "user_id=USER"},
	"a member's mapped column is a list": {membersPath, `"unique_id":"ss-USER"`, `"unique_id":"ss-USER","column40":["a"]`, 0, false, ""},
	"a member's times are objects":       {membersPath, `"unique_id":"ss-USER"`, `"unique_id":"ss-USER","updated_at":{},"point":[],"rank":{}`, 0, false, ""},
	"a member who is a number":           {membersPath, `[{"member":`, `[{"member":7},{"member":`, 1, true, ""},
	"a member who is null":               {membersPath, `[{"member":`, `[{"member":null},{"member":`, 1, true, ""},
}

// TestReconcile_OneOddRecord: a record that cannot be used ends no run. It is
// counted, and named by its user where that is known: nobody else is held up, also
// in a first run. While it may be anybody's, nobody is taken to be gone because of
// the list of users, or to be missing because of that of members.
func TestReconcile_OneOddRecord(t *testing.T) {
	for name, c := range oddCases {
		for first, when := range map[bool]string{true: " at first", false: " later"} {
			t.Run(name+when, func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) { r.oddRecord(t, c, first) })
			})
		}
	}
}

func (r *rig) oddRecord(t *testing.T, c oddCase, first bool) {
	r.byHand(unique(r.shop.UserIDs()[0]), "旧") // the keeper's
	r.strangers(20)
	if !first {
		r.reconcile()
		r.settleAll()
	}
	before, gone := r.crm.Members(), r.shop.UserIDs()[4]
	newcomer := r.person("新人")
	if !first {
		r.shop.Quiet().DeleteUser(gone)
	}
	odd, user := 0, r.shop.UserIDs()[8]
	ids := strings.NewReplacer("USER", strconv.FormatInt(user, 10), "MEMBER", r.member(unique(user)).ID)
	r.transport = altered{both{r.shop, r.crm}, c.path, ids.Replace(c.old), ids.Replace(c.odd), &odd}
	report := r.reconcile()
	drift := 0
	if c.anybody {
		drift = 1
	}
	if odd == 0 || report.Unreadable != c.unreadable || report.Drift != drift {
		t.Fatalf("%d pages with an odd record, report = %+v; want %d that cannot be used, %d of them as drift", odd, report, c.unreadable, drift)
	}
	wantGone, wantMissing := !first && (c.path == membersPath || !c.anybody), c.path == usersPath || !c.anybody
	if (report.Gone == 1) != wantGone || (report.Missing == 1) != wantMissing || report.Gone+report.Missing > 2 {
		t.Fatalf("report = %+v; want the user who left to be gone: %v, and the newcomer to be missing: %v", report, wantGone, wantMissing)
	}
	r.send(user, "change")
	for range 30 {
		r.work()
		time.Sleep(time.Minute)
	}
	if made := len(r.crm.FindUnique(unique(newcomer))); (made == 1) != wantMissing || len(r.crm.Members()) != len(before)+made {
		t.Fatalf("%d members, %d before, %d of them the newcomer's\n%s", len(r.crm.Members()), len(before), made, r.log)
	}
	if (text(r.member(unique(gone)), "enabled") == "0") != wantGone {
		t.Fatalf("the member of the user who is gone is %v", r.member(unique(gone)).Values)
	}
	if log := r.log.String(); !strings.Contains(log, ids.Replace(c.named)) || strings.Contains(log, "会員") || c.unreadable > 0 && !strings.Contains(log, "record of a list not readable") {
		t.Fatalf("the log does not name %q, or tells too much: %s", c.named, log)
	}
	r.transport = nil
	time.Sleep(time.Hour)
	r.reconcile()
	r.wantNobodyTwice(t, "in the end")
	r.drop()
	if report = r.reconcile(); report.Unreadable+report.Drift+report.Differing+report.Missing+report.Gone+report.Unresolved != 0 || report.Matched != report.Users && first {
		t.Fatalf("report after the repair = %+v", report)
	}
}

// A member whose unique_id cannot be read may be anybody whom no row links. Where
// a row does, the member is theirs whatever the unique_id.
func TestReconcile_MembersWhoseIdentityCannotBeRead(t *testing.T) {
	for odd, value := range map[string]string{"array": `["ss-20450025"]`, "object": `{}`, "boolean": `false`} {
		t.Run(odd, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.strangers(20)
				r.byHand(unique(r.shop.UserIDs()[0]), "旧") // the keeper's
				newcomer, count, identity := r.person("新人"), 0, fmt.Sprintf(`"unique_id":"ss-%d"`, r.shop.UserIDs()[8])
				r.transport = altered{both{r.shop, r.crm}, membersPath, identity, `"unique_id":` + value, &count}
				report := r.reconcile()
				for range 30 {
					r.work()
					time.Sleep(time.Minute)
				}
				if report.Matched != 20 || report.Drift != 1 || report.Missing != 0 || len(r.crm.Members()) != 21 {
					t.Fatalf("report at first = %+v, %d members; want 20 linked, nobody made", report, len(r.crm.Members()))
				}
				r.transport = nil
				time.Sleep(time.Hour)
				r.reconcile()
				r.wantNobodyTwice(t, "after the repair")
				r.transport = altered{both{r.shop, r.crm}, membersPath, identity, `"unique_id":` + value, &count}
				r.drop()
				if report = r.reconcile(); report.Drift != 0 || report.Matched != report.Users || report.Unreadable != 0 {
					t.Fatalf("report later = %+v, want all matched", report)
				}
				r.member(unique(newcomer))
			})
		})
	}
}

// The user of an odd record is read singly, too: what the mapping does not use
// spoils nothing, what it uses is named and stays, and one who perhaps is deleted
// waits.
func TestRelay_OneOddField(t *testing.T) {
	for odd, want := range map[string]struct {
		class  outcome.Class
		column string
	}{
		`"address":["a"],"updated_on":[],"country":{"a":1}`: {outcome.Updated, "変わった"},
		`"full_name":{"a":1}`:                               {outcome.Updated, "会員"},
		`"deleted":{"a":1}`:                                 {outcome.BadAnswer, "会員"},
		`"deleted":2`:                                       {outcome.BadAnswer, "会員"},
	} {
		t.Run(odd, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				user, count := r.linked("会員"), 0
				r.shop.Quiet().ChangeUser(user, map[string]any{"full_name": "変わった", "field_1": "新しい"})
				r.transport = altered{both{r.shop, r.crm}, "/api/users/" + strconv.FormatInt(user, 10), `"full_name":"変わった"`, `"full_name":"変わった",` + odd, &count}
				r.relay(user, "change")
				r.wantOutcome(string(want.class))
				r.wantField(unique(user), "column01", want.column)
				if want.class == outcome.Updated {
					r.wantField(unique(user), "column03", "新しい")
				}
			})
		})
	}
}

// An identity that cannot be read is none that is missing: it is named.
func TestRelay_OddIdentity(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.identity.By, r.identity.Prefix = "field_2", ""
		r.reconcile()
		user, count := r.numbered("会員", "S1"), 0
		r.transport = altered{both{r.shop, r.crm}, "/api/users", `"field_2":"S1"`, `"field_2":["S1"]`, &count}
		r.relay(user, "new")
		r.wantOutcome("no_identity")
		if report := r.reconcile(); count < 2 || report.UnreadableUsers != 1 || report.NoIdentity != 2 || !strings.Contains(r.log.String(), "fields=[unique_id]") {
			t.Fatalf("%d answers, report %+v\n%s", count, report, r.log)
		}
	})
}
