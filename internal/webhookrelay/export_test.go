package webhookrelay

import "context"

// HashOf is what a clean row of the user would hold if it were written now. It
// lets a test double trust every row.
func (s *Stack) HashOf(ctx context.Context, user int64) (string, error) {
	p, err := s.person(ctx, user)
	return p.hash, err
}

// RecordsOf is what a decision on the records of this moment would hold. It lets
// a test double carry out every decision.
func (s *Stack) RecordsOf(ctx context.Context, user int64, member string) (string, error) {
	p, err := s.person(ctx, user)
	if err != nil {
		return "", err
	}
	m, err := s.members.User(ctx, member)
	return s.recordsDigest(p.user, m), err
}
