package webhookrelay_test

import (
	"testing"
	"testing/synctest"
)

func TestRelay_CreatesUpdatesAndSkips(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		user := r.shop.AddUser(map[string]any{"name": "hanako@mail.example", "email": "hanako@mail.example", "full_name": "山田 花子", "mobile": "090-0000-0000"})
		r.send(user, "new")
		r.work()
		r.wantOutcome("awaiting_list")
		r.reconcile()
		synctest.Wait()
	})
}
