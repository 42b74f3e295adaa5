package webhookrelay_test

import (
	"context"
	"math/rand/v2"
	"time"

	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/tenant"
)

// operates decides on pairs now and then until done: on some at once, on some
// long after they were shown, and sometimes the command dies before it has told
// the relay.
func (s *schedule) operates(ctx context.Context, stack *tenant.Tenant) {
	random := rand.New(rand.NewPCG(s.seed, 9))
	dies := &fifo{refuse: true}
	for ctx.Err() == nil {
		links := admin.NewLinks(stack, s.queue)
		if random.IntN(3) == 0 {
			links = admin.NewLinks(stack, dies)
		}
		pairs, _ := links.Waiting(context.Background())
		for _, pair := range pairs {
			shown, err := links.Compare(context.Background(), pair.User)
			choice := random.IntN(4)
			if err != nil || choice == 0 {
				continue
			}
			if random.IntN(2) == 0 {
				time.Sleep(time.Duration(random.Int64N(int64(3 * time.Minute))))
			}
			s.decided(shown, choice < 3)
			_ = links.Decide(context.Background(), shown, choice < 3)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(random.Int64N(int64(4 * time.Minute)))):
		}
	}
}

// approvesRightful approves what the shop's card on both records speaks for.
func (s *schedule) approvesRightful(links admin.Links) {
	pairs, err := links.Waiting(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, pair := range pairs {
		shown, err := links.Compare(context.Background(), pair.User)
		if err != nil || shown.Fields["super_field"] == "" || shown.Fields["super_field"] != shown.Bearer["column04"] {
			continue
		}
		s.decided(shown, true)
		if err := links.Decide(context.Background(), shown, true); err != nil {
			s.t.Fatal(err)
		}
	}
}

// decided tells the model. An approval counts if the user is as it was shown.
func (s *schedule) decided(shown admin.Comparison, approved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, user := range s.users {
		if user != shown.User {
			continue
		}
		key := p.mail + " " + shown.UniqueID
		asShown := p.unique == shown.UniqueID && p.name == shown.Fields["full_name"] && p.phone == shown.Fields["mobile"] && p.note == shown.Fields["field_1"]
		switch {
		case !approved:
			s.model.rejected[key] = true
		case asShown:
			s.model.approved[key] = true
		}
	}
}
