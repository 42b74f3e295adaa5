package webhookrelay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/relay"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

func TestRelay_ReplaceCarriesBackWhatItDoesNotSet(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crm.Replace, r.quirks = true, `{"update":"replace"}`
		user := r.linked("己")
		m := r.member(unique(user))
		m.Values["column50"], m.Values["secret_quetion"], m.Values["rank"] = "メモ", "犬の名前", "4"
		r.crm.Put(m)
		r.shop.ChangeUser(user, map[string]any{"full_name": "己 改"})
		r.relay(user, "change")
		r.wantOutcome("updated")
		for field, want := range map[string]string{"column01": "己 改", "column50": "メモ", "secret_quetion": "犬の名前", "rank": "4", "enabled": "1"} {
			r.wantField(unique(user), field, want)
		}
		r.shop.DeleteUser(user)
		r.relay(user, "delete")
		r.wantOutcome("disabled")
		for field, want := range map[string]string{"column01": "己 改", "column50": "メモ", "rank": "4", "enabled": "0"} {
			r.wantField(unique(user), field, want)
		}
	})
}

// TestRelay_AnOddlyWrittenNumberIsNoDifference: a rank of 05 is answered as 5.
func TestRelay_AnOddlyWrittenNumberIsNoDifference(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mapping = "column01: full_name\nrank: field_1\n"
		user := r.person("戊")
		r.shop.ChangeUser(user, map[string]any{"field_1": "05"})
		r.reconcile()
		r.relay(user, "new")
		r.wantField(unique(user), "rank", "5")
		if report := r.reconcile(); report.Differing != 0 {
			t.Fatalf("report = %+v, want no difference", report)
		}
	})
}

func TestRelay_WritesOnlyOnceTheUpdateRuleIsKnown(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.quirks = `{}`
		r.relay(r.person("庚"), "new")
		r.wantOutcome("update_rule_unknown")
		if n := r.crm.Count("") + r.shop.Count(""); n != 0 {
			t.Fatalf("%d requests, want none", n)
		}
	})
}

func TestRelay_ObserveReportsAndWritesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settings.Mode = tenant.Observe
		r.quirks = `{}` // needed for writing only
		fresh, known, gone := r.person("辛"), r.person("壬"), r.person("癸")
		r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": unique(known), "column01": "古"}})
		report := r.reconcile()
		if report.Differing != 1 || report.Missing != 3 || report.Sent != 4 {
			t.Fatalf("report = %+v, want 1 differing, 3 missing, all sent", report)
		}
		r.drop()
		before := r.crm.Members()
		r.shop.DeleteUser(gone)
		for user, class := range map[int64]string{fresh: "would_create", known: "would_update", gone: "gone_unlinked"} {
			r.relay(user, "change")
			r.wantOutcome(class)
		}
		if !slices.EqualFunc(before, r.crm.Members(), func(a, b yapplitest.Member) bool { return string(a.JSON()) == string(b.JSON()) }) {
			t.Fatal("observing changed a member")
		}
		for _, want := range []string{
			fmt.Sprintf(`level=WARN msg=observed user_id=%d outcome=would_create `, fresh),
			fmt.Sprintf(`level=WARN msg=observed user_id=%d outcome=would_update fields="[column01 column02 login_id]"`, known),
		} {
			if !strings.Contains(r.log.String(), want) {
				t.Fatalf("the log lacks %s:\n%s", want, r.log)
			}
		}
		if strings.Contains(r.log.String(), "壬") || strings.Contains(r.log.String(), "9000000000") {
			t.Fatal("the log holds personal data")
		}
		for info, err := range r.objects.List(context.Background(), "", "") {
			if err != nil || strings.Contains(info.Key, "/rows/") {
				t.Fatalf("object %s, %v: observing made a row", info.Key, err)
			}
		}
	})
}

// Observe says which users writing would leave out, and which it would postpone.
func TestRelay_ObserveSaysWhoWaitsOrIsLeftOut(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settings.Mode, r.identity = tenant.Observe, tenant.Identity{By: "field_2"}
		first, second := r.numbered("甲", "S"), r.numbered("乙", "S")
		r.relay(first, "change")
		r.wantOutcome("awaiting_list")
		r.byHand("S", "古")
		r.reconcile()
		r.drop()
		for user, class := range map[int64]outcome.Class{first: outcome.WouldUpdate, second: outcome.DuplicateIdentity} {
			r.relay(user, "change")
			r.wantOutcome(string(class))
			if p, err := plan.Of(r.stack()).Preview(context.Background(), user); err != nil || p.Outcome != class || (p.Member == "") != (user == second) {
				t.Fatalf("preview = %+v, %v, want %s", p, err, class)
			}
		}
	})
}

func TestRelay_BuriesWhatIsNoMessage(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("子")
		batch := []queue.Delivery{
			{ID: "1", Receipt: "1", Body: []byte(`{"name":"山田"}`)},
			{ID: "2", Receipt: "2", Body: queue.Message{User: user, At: time.Now()}.Envelope("").Body},
		}
		if left := relay.New(r.stack(), r.dead, r.queue).Work(context.Background(), batch); len(left) != 0 {
			t.Fatalf("unfinished = %v, want none", left)
		}
		r.wantOutcome("unchanged")
		if r.dead.len() != 1 || strings.Contains(string(r.dead.messages[0].Body), "山田") {
			t.Fatal("want one dead letter without the body's content")
		}
		r.dead.refuse = true
		if left := relay.New(r.stack(), r.dead, r.queue).Work(context.Background(), batch[:1]); !slices.Equal(left, []string{"1"}) {
			t.Fatalf("unfinished = %v, want 1: it is not durable anywhere else", left)
		}
	})
}

// What cannot be read is named and left, and everything else goes on.
func TestRelay_LeavesWhatCannotBeRead(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("丑")
		r.shop.ChangeUser(user, map[string]any{"mobile": "なし", "field_1": "会員"})
		r.relay(user, "change")
		r.wantOutcome("updated")
		r.wantField(unique(user), "column02", "+819010000000")
		r.wantField(unique(user), "column03", "会員")
		if log := r.log.String(); strings.Contains(log, "なし") || !strings.Contains(log, "fields=[column02]") {
			t.Fatalf("want the field named, and no value\n%s", log)
		}
		if r.metrics.get("UnreadableFields") != 1 || r.dead.len() != 0 {
			t.Fatalf("metrics %v, %d dead letters", r.metrics.all(), r.dead.len())
		}
	})
}

func TestRelay_LeavesWhatItHasNoTimeFor(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("寅")
		body := queue.Message{User: user, At: time.Now()}.Envelope("").Body
		for left, want := range map[time.Duration]int{10*time.Second - 1: 1, 10 * time.Second: 0} {
			ctx, cancel := context.WithTimeout(context.Background(), left)
			if got := relay.New(r.stack(), r.dead, r.queue).Work(ctx, []queue.Delivery{{ID: "1", Body: body}}); len(got) != want {
				t.Fatalf("with %v left: unfinished = %v, want %d", left, got, want)
			}
			cancel()
		}
	})
}

func TestRelay_AnotherAccountSeesNoState(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("卯")
		stack := r.stack()
		if current, err := stack.Current(context.Background()); err != nil || !current {
			t.Fatalf("Current = %v, %v, want true", current, err)
		}
		r.shop.Account = "another_shop"
		r.shop.DeleteUser(user)
		r.relay(user, "delete")
		r.wantOutcome("gone_unlinked")
		r.wantField(unique(user), "enabled", "1")
	})
}

func TestRelay_RestoreUnderTheRelayStartsAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("辰")
		r.shop.DeleteUser(user)
		reads := 0
		restore := roundTripper(func(q *http.Request) (*http.Response, error) {
			if strings.Contains(q.URL.Path, "/api/users/") {
				if reads++; reads == 2 {
					r.shop.Quiet().RestoreUser(user) // between the two reads
				}
			}
			return both{r.shop, r.crm}.RoundTrip(q)
		})
		config := r.config()
		config.Options.HTTP = &http.Client{Transport: restore}
		stack, err := tenant.Open(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		r.send(user, "delete")
		batch := r.queue.receive(1)
		r.queue.settle(batch, relay.New(stack, r.dead, r.queue).Work(context.Background(), batch))
		r.wantOutcome("updated")
		r.wantField(unique(user), "enabled", "1")
		if reads != 4 {
			t.Fatalf("%d reads of the user, want 4: two for each attempt", reads)
		}
	})
}

// TestRelay_ChangedIdentityUnderTheRelayStartsAgain: between the reads a new
// user takes the identity of a member who exists. What was claimed is another.
func TestRelay_ChangedIdentityUnderTheRelayStartsAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "later", "column01": "旧"}})
		r.identity = tenant.Identity{By: "field_2"}
		r.reconcile()
		user := r.person("四郎")
		r.shop.ChangeUser(user, map[string]any{"field_2": "sooner"})
		reads := 0
		r.transport = roundTripper(func(q *http.Request) (*http.Response, error) {
			if strings.Contains(q.URL.Path, "/api/users/") {
				if reads++; reads == 2 {
					r.shop.Quiet().ChangeUser(user, map[string]any{"field_2": "later"})
				}
			}
			return both{r.shop, r.crm}.RoundTrip(q)
		})
		r.relay(user, "new")
		r.wantOutcome("linked")
		m, _ := r.crm.Find(id)
		if m.Values["column01"] != "四郎" || r.crm.Count("POST /api/ext/users") != 0 || reads != 4 {
			t.Fatalf("member holds %q, %d creations, %d reads; want the member linked by the second attempt", m.Values["column01"], r.crm.Count("POST /api/ext/users"), reads)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDefer_PostponesTheWholeBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &fifo{}
		m := queue.Message{User: 7, At: time.Now()}
		for _, dedup := range []string{"a", "b"} {
			if err := q.Send(context.Background(), m.Envelope(dedup)); err != nil {
				t.Fatal(err)
			}
		}
		batch := q.receive(10)
		batch[1].Receives = 30
		left, err := relay.Defer(context.Background(), q, batch, errors.New("no token"))
		if err != nil || len(left) != 2 {
			t.Fatalf("Defer = %v, %v, want both", left, err)
		}
		if a, b := time.Until(q.messages[0].visible), time.Until(q.messages[1].visible); a != 5*time.Second || b != time.Hour {
			t.Fatalf("postponed by %v and %v, want 5s and 1h", a, b)
		}
		q.failing = errors.New("gone")
		if left, err := relay.Defer(context.Background(), q, batch, nil); err == nil || len(left) != 2 {
			t.Fatalf("Defer = %v, %v, want both and an error", left, err)
		}
	})
}

func TestPreview_ShowsWhatWouldChange(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("巳")
		m := r.member(unique(user))
		m.Values["column01"] = "drifted"
		r.crm.Put(m)
		got, err := plan.Of(r.stack()).Preview(context.Background(), user)
		if err != nil {
			t.Fatal(err)
		}
		if got.Outcome != "would_update" || !slices.Equal(got.Changes, []string{"column01"}) || got.UniqueID != unique(user) ||
			got.Desired["column01"].Text != "巳" || got.Gone {
			t.Fatalf("preview = %+v", got)
		}
		r.shop.DeleteUser(user)
		if got, err = plan.Of(r.stack()).Preview(context.Background(), user); err != nil || got.Outcome != "would_disable" || !got.Gone {
			t.Fatalf("preview of a user who is gone = %+v, %v", got, err)
		}
	})
}

func TestMessage_RefusesOtherShapes(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `[]`, `{}`, `{"user":"0","at":"2026-11-22T00:00:00Z"}`, `{"user":"-4","at":"2026-11-22T00:00:00Z"}`, `{"user":"4"}`, `{"user":4,"at":"2026-11-22T00:00:00Z"}`} {
		if m, err := queue.ParseMessage([]byte(body)); err == nil {
			t.Errorf("ParseMessage(%s) = %+v, want an error", body, m)
		}
	}
	want := queue.Message{User: 4, Event: "change", Deleted: true, Force: true, At: time.Unix(1, 0).UTC(), Class: "x"}
	e := want.Envelope("d")
	if got, err := queue.ParseMessage(e.Body); err != nil || got != want || e.Group != "4" || e.Dedup != "d" {
		t.Errorf("round trip = %+v, %v in %+v", got, err, e)
	}
	if !json.Valid(e.Body) {
		t.Error("the envelope's body is not JSON")
	}
}

// slowSwaps are rows that take their time.
type slowSwaps struct{ objectstore.Store }

func (s slowSwaps) Put(ctx context.Context, o objectstore.Object) (string, error) {
	time.Sleep(30 * time.Second)
	return s.Store.Put(ctx, o)
}

// writesUntil notes when requests that write give up.
type writesUntil struct {
	http.RoundTripper

	last *time.Time
}

func (w writesUntil) RoundTrip(r *http.Request) (*http.Response, error) {
	if deadline, ok := r.Context().Deadline(); ok && r.Method != http.MethodGet {
		*w.last = deadline
	}
	return w.RoundTripper.RoundTrip(r)
}

// However long the swap that takes a row took, nothing is written after the hold
// that it says.
func TestRelay_WritesEndBeforeTheHold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("山田 花子")
		r.shop.ChangeUser(user, map[string]any{"full_name": "山田 はな子"})
		var last time.Time
		r.objects, r.transport = slowSwaps{r.objects}, writesUntil{both{r.shop, r.crm}, &last}
		began := time.Now()
		r.relay(user, "change")
		r.wantField(unique(user), "column01", "山田 はな子")
		if left := began.Add(90 * time.Second).Sub(last); left < 10*time.Second {
			t.Errorf("a write may last until %v before the end of the hold, want 10 s", left)
		}
	})
}

func TestRelay_LeavesARestingProviderAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		config := r.config()
		stack, err := tenant.Open(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		config.Limiters.Yappli.Observe(&providers.Error{Kind: providers.ErrRateLimited, RetryAfter: 30 * time.Second})
		r.send(r.person("酉"), "new")
		batch := r.queue.receive(1)
		r.queue.settle(batch, relay.New(stack, r.dead, r.queue).Work(context.Background(), batch))
		r.wantOutcome("provider_resting")
		if n := r.shop.Count("") + r.crm.Count(""); n != 0 {
			t.Errorf("%d requests, want none", n)
		}
		if back := time.Until(r.queue.messages[0].visible); back != 30*time.Second {
			t.Errorf("message back in %v, want 30s", back)
		}
	})
}
