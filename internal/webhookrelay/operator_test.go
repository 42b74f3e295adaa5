package webhookrelay_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// madeMember makes a member that is not the relay's, which the shop may have
// disabled, and may have written more about; of a person, perhaps.
func (s *schedule) madeMember(unique string, p *modelPerson) {
	values, was := map[string]string{"unique_id": unique, "column01": "古い名前"}, before{}
	was.card = []string{p.card, p.card, p.card, "", "X" + unique}[s.random.IntN(5)]
	values["column04"] = was.card
	was.late = s.begun && (!s.settings.CreateAfterList || s.model.anybodyHad(unique))
	if was.off = s.random.IntN(4) == 0; was.off {
		values["enabled"] = "0"
	}
	if s.random.IntN(2) == 0 {
		was.kept = "店の覚え"
		values["column30"], values["rank"] = was.kept, "3"
	}
	id := s.crm.Put(yapplitest.Member{Values: values})
	m, _ := s.crm.Find(id)
	was.json = string(m.JSON())
	s.model.before[unique] = was
}

// madeAgain makes such a member under another alias, where there may be one already.
func (s *schedule) madeAgain(p *modelPerson) {
	unique := s.identity.Prefix + spell(s.random, s.valueOf(p.unique))
	typed := func(p *modelPerson) bool { return slices.Contains(p.ever, unique) }
	if p.unique != "" && s.seesMade() && len(s.crm.FindUnique(unique)) == 0 && !slices.ContainsFunc(s.model.people, typed) {
		s.madeMember(unique, p)
	}
}

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
			_ = s.decides(links, shown, choice < 3)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(random.Int64N(int64(4 * time.Minute)))):
		}
	}
}

// decidesRest approves what the shop's card on both records speaks for, and rejects
// half of what is left of the pairs that are spelled differently. Another pair may
// then wait for whom it rejected: it reports whether it decided anything.
func (s *schedule) decidesRest(links admin.Links) (decided bool) {
	pairs, err := links.Waiting(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, pair := range pairs {
		shown, err := links.Compare(context.Background(), pair.User)
		if err != nil {
			continue
		}
		rightful := shown.Fields["super_field"] != "" && shown.Fields["super_field"] == shown.Bearer["column04"]
		if !rightful && (s.random.IntN(2) == 0 || !s.respelled(shown)) {
			continue
		}
		switch err := s.decides(links, shown, rightful); {
		case err == nil:
			decided = true
		case !errors.Is(err, admin.ErrLinked): // to another, who has gone
			s.t.Fatal(err)
		}
	}
	return decided
}

// respelled reports whether the member of a pair bears another alias of the
// person's identity.
func (s *schedule) respelled(shown admin.Comparison) bool {
	return shown.Bearer["unique_id"] != s.identity.Prefix+strings.TrimSpace(shown.Fields[s.identity.By])
}

// decides tells the model and the relay. A rejection is certain if the command has
// not failed, or failed only to tell the relay.
func (s *schedule) decides(links admin.Links, shown admin.Comparison, approved bool) error {
	person, identity := s.decided(shown, approved)
	err := links.Decide(context.Background(), shown, approved)
	stored := err == nil || strings.Contains(err.Error(), "the decision is stored")
	if person == nil || approved || !stored {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.model.refused[pairOf(person, shown.Bearer["unique_id"])+" "+identity] = true
	return err
}

// decided notes what may come of a decision, and returns whose it is, and the
// identity that was shown. An approval counts if the user is as it was shown.
func (s *schedule) decided(shown admin.Comparison, approved bool) (person *modelPerson, identity string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, user := range s.users {
		if user != shown.User {
			continue
		}
		pair := pairOf(p, shown.Bearer["unique_id"])
		identity = s.identity.Prefix + strings.TrimSpace(shown.Fields[s.identity.By])
		if person = p; s.model.refused[pair+" "+identity] {
			s.model.again = pair
		}
		asShown := p.typed == shown.Fields["field_2"] && p.name == shown.Fields["full_name"] && p.phone == shown.Fields["mobile"] && p.note == shown.Fields["field_1"]
		switch {
		case !approved:
			s.model.rejected[pair] = true
		case asShown:
			s.model.approved[pair] = true
		}
	}
	return person, identity
}
