package proverelay

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

const day = 24 * time.Hour

// life lets the users change, sign up, leave and come back for so long, n
// times in all and evenly, while webhooks tell of it.
func (r *rig) life(part uint64, n int, long time.Duration) {
	chance := prove.Random(part)
	ids := r.ids()
	for i := range n {
		id := ids[chance.IntN(len(ids))]
		switch x := chance.IntN(100); {
		case x < 70:
			r.shop.ChangeUser(id, map[string]any{"full_name": fmt.Sprintf("改姓 %d-%05d", part, i)})
		case x < 80:
			name := fmt.Sprintf("life%d-%05d@mail.example", part, i)
			ids = append(ids, r.shop.AddUser(map[string]any{"name": name, "email": name, "full_name": "新規"}))
		case x < 90:
			r.shop.DeleteUser(id)
		default:
			r.shop.RestoreUser(id)
		}
		time.Sleep(long / time.Duration(n))
	}
}

// accepted counts the webhooks that were answered 200, and all others.
func (r *rig) accepted() (taken, refused int) {
	for _, d := range r.shop.Deliveries() {
		if d.Status == http.StatusOK {
			taken++
		} else {
			refused++
		}
	}
	return taken, refused
}

// settled is a stack whose two sides agree.
func (r *rig) settled() {
	r.Helper()
	r.reconcile()
	r.schedules()
	r.poll()
	r.drained(10 * day)
}

// manyLeave lifts the cap on disablings: those of four days come within an hour,
// and a person would have to release it.
var manyLeave = map[string]string{"HIKYAKU_DISABLE_CAP": "1000000"}

// TestOutage takes Yappli away for a day and then the booking account's key
// for three. No nightly reconcile repairs what the queue might lose.
func TestOutage(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	n := prove.Size(1000, 30)
	silent, rejected := time.Duration(prove.Size(24, 4))*time.Hour, time.Duration(prove.Size(72, 8))*time.Hour
	inBubble(t, options{users: n, members: 20, spare: workers, latency: 300 * time.Millisecond, vars: manyLeave}, func(r *rig) {
		r.settled()
		foreign := r.foreign()
		r.crm.SetFaults(sandbox.Faults{ServerFail: 0.6, Dropped: 0.2, Lost: 0.2})
		r.life(1, n, silent)
		r.crm.SetFaults(sandbox.Faults{})
		r.shop.RollKey()
		r.life(2, n, rejected)
		r.reconnect(r.shop.Connection(base(providers.SuperSaaS)))
		took := r.drained(14 * day)
		taken, refused := r.accepted()
		lost := r.waiting(dead)
		faults := r.wrong(r.ids())
		prove.Figure(t, lost == 0 && refused == 0 && len(faults) == 0 && took <= 2*time.Hour, fmt.Sprintf("%s without Yappli, then %s with a rejected key", silent, rejected),
			"all delivered within two hours, none in the dead-letter queue, nothing redriven",
			"%d webhooks accepted, %d users wrong, %d dead letters, the last delivered %s after the recovery", taken, len(faults), lost, took.Round(time.Minute))
		if len(faults) > 0 {
			t.Errorf("%.500q", faults)
		}
		if string(r.foreign()) != string(foreign) {
			t.Error("a member of somebody else changed")
		}
	})
}

// Without pauses that grow, the receive limit is reached within a day.
func TestOutage_WithoutGrowingPauses(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	inBubble(t, options{users: 20, members: -1, spare: workers}, func(r *rig) {
		r.reconcile()
		r.poll()
		r.drained(day)
		r.aws.Inject(sandbox.Fault{Route: "sqs.ChangeMessageVisibility", Kind: sandbox.ServerFail, Times: -1})
		r.crm.SetFaults(sandbox.Faults{ServerFail: 1})
		r.life(1, 20, day)
		lost := r.waiting(dead)
		prove.Figure(t, lost > 0, "guard removed: no pause but the queue's own visibility", "must lose messages to the dead-letter queue", "%d dead letters after a day", lost)
	})
}
