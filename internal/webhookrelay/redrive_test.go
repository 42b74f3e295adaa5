package webhookrelay_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/queue"
)

// outlet hands out what is there, once, and can fail.
type outlet struct {
	*fifo

	noReceive, noDelete error
}

func (o outlet) Receive(context.Context) ([]queue.Delivery, error) {
	return o.receive(10), o.noReceive
}

func (o outlet) Delete(_ context.Context, receipt string) error {
	if o.noDelete == nil {
		o.settle([]queue.Delivery{{ID: receipt}}, nil)
	}
	return o.noDelete
}

func TestRedrive_MovesWhatNamesAUser(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		at := time.Now().UTC()
		time.Sleep(time.Hour)
		now := time.Now().UTC()
		for _, m := range []queue.Message{
			{User: 7, Event: "change", At: at, Class: "refused", Force: true}, {User: 8, Event: "delete", Deleted: true, At: at, Class: "mapping"},
			{At: at, Class: "malformed"},
		} {
			if err := r.dead.Send(context.Background(), m.Envelope(m.Class)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, dead := context.Background(), outlet{fifo: r.dead}
		got, err := admin.Redrive(ctx, dead, r.queue, admin.Selection{})
		if want := (admin.Redriven{Sent: 2, Kept: 1}); err != nil || got != want {
			t.Fatalf("Redrive = %+v, %v, want %+v", got, err, want)
		}
		sent := r.queue.bodies()
		want := []queue.Message{{User: 7, Event: "redrive", At: now, Force: true}, {User: 8, Event: "redrive", Deleted: true, At: now}}
		if len(sent) != 2 || sent[0] != want[0] || sent[1] != want[1] || r.dead.len() != 1 {
			t.Fatalf("sent %+v with %d kept, want %+v", sent, r.dead.len(), want)
		}
		if got, err := admin.Redrive(ctx, dead, r.queue, admin.Selection{}); err != nil || got != (admin.Redriven{}) {
			t.Fatalf("second Redrive = %+v, %v, want nothing", got, err)
		}
	})
}

// reburying is a queue whose relay gives everything up at once.
type reburying struct{ dead *fifo }

func (q reburying) Send(ctx context.Context, envelopes ...queue.Envelope) error {
	for i := range envelopes {
		envelopes[i].Dedup += "-again"
	}
	return q.dead.Send(ctx, envelopes...)
}

// It ends though its cause is not fixed, and though it takes longer than
// letters are hidden.
func TestRedrive_Ends(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for user := range int64(30) { // 0: malformed
			m := queue.Message{User: user, Event: "change", At: time.Now().UTC(), Class: "mapping"}
			if err := r.dead.Send(context.Background(), m.Envelope(strconv.FormatInt(user, 10))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		r.dead.hides = time.Nanosecond
		got, err := admin.Redrive(context.Background(), outlet{fifo: r.dead}, reburying{r.dead}, admin.Selection{})
		if err != nil || got.Sent != 29 || got.Kept != 1 || got.Again == 0 || r.dead.len() != 30 {
			t.Fatalf("Redrive = %+v, %v with %d left, want 29 sent once", got, err, r.dead.len())
		}
	})
}

// Wherever it fails, nothing is lost, and another run sends it.
func TestRedrive_MayBeRepeated(t *testing.T) {
	lost := errors.New("connection lost")
	for name, c := range map[string]struct {
		spoil func(r *rig, o *outlet)
		sent  int
	}{
		"receive fails": {func(_ *rig, o *outlet) { o.noReceive = lost }, 0},
		"send fails":    {func(r *rig, _ *outlet) { r.queue.refuse = true }, 0},
		"delete fails":  {func(_ *rig, o *outlet) { o.noDelete = lost }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				m := queue.Message{User: 7, At: time.Now().UTC(), Class: "refused"}
				if err := r.dead.Send(context.Background(), m.Envelope("x")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				o := outlet{fifo: r.dead}
				c.spoil(r, &o)
				if got, err := admin.Redrive(context.Background(), o, r.queue, admin.Selection{}); err == nil || got.Sent != c.sent || r.dead.len() != 1 {
					t.Fatalf("Redrive = %+v, %v with %d dead letters, want an error and the letter kept", got, err, r.dead.len())
				}
				r.queue.refuse = false
				time.Sleep(visibility)
				got, err := admin.Redrive(context.Background(), outlet{fifo: r.dead}, r.queue, admin.Selection{})
				if err != nil || got.Sent != 1 || r.dead.len() != 0 || r.queue.len() != c.sent+1 {
					t.Fatalf("second Redrive = %+v, %v, %d in the queue", got, err, r.queue.len())
				}
			})
		})
	}
}

// Letters are listed with why and when, and stay; a redrive takes those selected,
// and shows the others again at once.
func TestRedrive_Selects(t *testing.T) {
	letters := []queue.Message{
		{User: 7, Event: "change", Class: "refused"}, {User: 7, Event: "change", Class: "member_missing"},
		{User: 8, Event: "delete", Class: "refused"}, {User: 9, Event: "new"}, {Class: "malformed"},
	}
	for name, c := range map[string]struct {
		only admin.Selection
		want admin.Redriven
	}{
		"all":                  {admin.Selection{}, admin.Redriven{Sent: 4, Kept: 1}},
		"a user":               {admin.Selection{Users: []int64{7}}, admin.Redriven{Sent: 2, Others: 3}},
		"two users":            {admin.Selection{Users: []int64{7, 8}}, admin.Redriven{Sent: 3, Others: 2}},
		"a class":              {admin.Selection{Class: outcome.Refused}, admin.Redriven{Sent: 2, Others: 3}},
		"a user's class":       {admin.Selection{Users: []int64{7}, Class: outcome.MemberMissing}, admin.Redriven{Sent: 1, Others: 4}},
		"those of the queue's": {admin.Selection{Class: outcome.TriedTooOften}, admin.Redriven{Sent: 1, Others: 4}},
		"some":                 {admin.Selection{Limit: 3}, admin.Redriven{Sent: 3, Others: 2}},
		"a user without any":   {admin.Selection{Users: []int64{6}}, admin.Redriven{Others: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				ctx, dead, start := context.Background(), outlet{fifo: r.dead}, time.Now().UTC()
				for i, m := range letters {
					m.At = start.Add(time.Duration(-i) * time.Hour)
					if err := r.dead.Send(ctx, m.Envelope(strconv.Itoa(i))); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				for range 2 { // the first leaves them
					listed, err := admin.Letters(ctx, dead)
					if err != nil || len(listed) != 5 || listed[1].User != 9 || listed[1].Class != "tried_too_often" || listed[4].Class != "refused" || !listed[4].At.Equal(start) || listed[0].Class != "malformed" {
						t.Fatalf("letters = %+v, %v", listed, err)
					}
				}
				got, err := admin.Redrive(ctx, dead, r.queue, c.only)
				if err != nil || got != c.want || r.queue.len() != got.Sent || r.dead.len() != 5-got.Sent {
					t.Fatalf("Redrive = %+v, %v, %d sent; want %+v", got, err, r.queue.len(), c.want)
				}
				if left, err := admin.Letters(ctx, dead); err != nil || len(left) != got.Others {
					t.Fatalf("%d letters are shown afterwards, %v; want %d", len(left), err, got.Others)
				}
			})
		})
	}
}
