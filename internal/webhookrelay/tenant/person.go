package tenant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// A Person is a user as one read showed it.
type Person struct {
	Live    bool
	User    supersaas.User
	Desired yappli.Fields // what the mapping makes of a live user
	Unread  []string      // fields of which it makes nothing that can be read: what Yappli holds stays
	Unique  state.Alias   // the unique_id of a live user
	Match   []string      // what a member must show in the link_if fields; nil: no member can
	Hash    string
	Since   time.Time // the user has been so, as SuperSaaS says, to the second
}

// Person reads a user and says whether it is live or gone. Anything doubtful
// is an error.
func (t *Tenant) Person(ctx context.Context, user int64) (Person, error) {
	u, err := t.Users.GetUser(ctx, supersaas.ID(user), t.Mapping.UsesForm())
	switch {
	case errors.Is(err, providers.ErrNotFound):
		err = t.accountAlive(ctx)
		return Person{Hash: t.goneHash()}, err
	case err != nil:
		return Person{}, err
	case u.Deleted:
		return Person{Hash: t.goneHash()}, nil
	}
	return t.LivePerson(u), nil
}

// LivePerson is of a user that a list showed.
func (t *Tenant) LivePerson(u supersaas.User) Person {
	desired := t.Mapping.Apply(u)
	if slices.Contains(u.Odd(), t.Identity.By) {
		desired.Unreadable = append(desired.Unreadable, "unique_id")
	}
	return Person{
		Live: true, User: u, Desired: desired.Fields, Unread: desired.Unreadable, Match: desired.LinkIf, Unique: t.aliasOf(u),
		Hash: t.desiredHash(desired.Fields), Since: slices.MaxFunc([]time.Time{u.CreatedOn, u.UpdatedOn}, time.Time.Compare),
	}
}

func (t *Tenant) goneHash() string { return t.Key.Digest("gone").String() }

// errNobody: a 404 is believed only where the account still shows somebody. A
// wrong account, a wrong address and an emptied account all answer 404.
var errNobody = fmt.Errorf("%w: the account shows no user at all, so a missing one proves nothing", providers.ErrUnsent)

func (t *Tenant) accountAlive(ctx context.Context) error {
	list, err := t.Users.ReadUsers(ctx, supersaas.UsersQuery{Limit: 1})
	if err == nil && !slices.ContainsFunc(list.Records, func(r jsonscan.Record) bool { return r.Fault == "" }) {
		err = errNobody
	}
	return err
}

func (t *Tenant) aliasOf(u supersaas.User) state.Alias {
	value := mapping.IdentityOf(u, t.Identity.By)
	if value == "" {
		return state.Alias{}
	}
	return t.Alias(t.Identity.Prefix + value)
}

// Alias folds what follows the prefix. What begins otherwise is no user's.
func (t *Tenant) Alias(unique string) state.Alias {
	exact := t.Key.Digest("identity", unique)
	sp := state.Alias{Text: unique, Exact: exact, Folded: exact}
	if value, ours := strings.CutPrefix(unique, t.Identity.Prefix); ours {
		if folded := t.Mapping.FoldIdentity(t.Identity.By, value); folded != value {
			sp.Folded = t.Key.Digest("identity", t.Identity.Prefix+folded)
		}
	}
	return sp
}
