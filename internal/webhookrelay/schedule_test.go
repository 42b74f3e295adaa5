package webhookrelay_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

var (
	schedules    = flag.Int("schedules", defaultSchedules(), "random schedules to run")
	scheduleSeed = flag.Uint64("schedule-seed", 1, "seed of the first schedule")
)

// full: the proof at full size, or what every change of the code can afford.
func full() bool { return os.Getenv("HIKYAKU_PROVE") == "full" }

// defaultSchedules are few, because every change of the code runs them;
// HIKYAKU_PROVE=full runs a twentieth of what the proof does.
func defaultSchedules() int {
	if full() {
		return 5000
	}
	return 3
}

// jitterStore delays each call at random, so that workers interleave at every
// one, and loses some answers after the effect.
type jitterStore struct {
	objectstore.Store

	mu     sync.Mutex
	random *rand.Rand
	lose   float64
}

var errLost = errors.New("connection lost")

func (s *jitterStore) pause() (lose bool) {
	s.mu.Lock()
	d, lose := time.Duration(s.random.IntN(200))*time.Millisecond, s.random.Float64() < s.lose
	s.mu.Unlock()
	time.Sleep(d)
	return lose
}

func (s *jitterStore) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	if s.pause() {
		return objectstore.Info{}, nil, errLost
	}
	return s.Store.Get(ctx, key)
}

func (s *jitterStore) Put(ctx context.Context, o objectstore.Object) (string, error) {
	lose := s.pause()
	etag, err := s.Store.Put(ctx, o)
	if lose {
		return "", errLost
	}
	s.pause()
	return etag, err
}

func (s *jitterStore) calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = 0
}

// A model is what Yappli must hold in the end, kept by hand beside the events.
// It knows nothing of rows, hashes or queues.
type model struct {
	people  map[int64]*modelPerson
	foreign map[string]string // id of a member that is not ours: its JSON
}

type modelPerson struct {
	live  bool
	name  string
	phone string
}

// A schedule is one random history.
type schedule struct {
	*rig

	random *rand.Rand
	model  model
	jitter *jitterStore
	serial int
	users  []int64
}

func newSchedule(t testing.TB, seed uint64) *schedule {
	random := rand.New(rand.NewPCG(seed, 7))
	s := &schedule{rig: newRig(t), random: random, model: model{people: map[int64]*modelPerson{}, foreign: map[string]string{}}}
	s.patient = true
	s.jitter = &jitterStore{Store: s.objects, random: rand.New(rand.NewPCG(seed, 8)), lose: 0.02}
	s.objects = s.jitter
	s.crm = yapplitest.New(yapplitest.Options{Records: -1, Rate: -1, Seed: seed})
	s.shop = supersaastest.New(supersaastest.Options{Records: -1, Rate: -1, Seed: seed})
	s.crm.Duplicate = []yapplitest.Duplicate{yapplitest.SecondUser, yapplitest.Refuse, yapplitest.Overwrite}[random.IntN(3)]
	s.shop.Knobs.GoneAsUser = random.IntN(2) == 0
	s.settings.Lag = time.Minute
	s.quirks = `{"update":"partial"`
	if random.IntN(2) == 0 {
		s.crm.Replace, s.quirks = true, `{"update":"replace"`
	}
	if random.IntN(2) == 0 {
		s.crm.Lookup = true
		s.quirks += `,"lookup":"unique_id"`
	}
	if random.IntN(2) == 0 {
		s.crm.Generation = 3
		s.quirks += `,"body":"json","paging":"page","page_size":10`
	}
	s.quirks += "}"
	return s
}

func (s *schedule) fields(p *modelPerson) map[string]any {
	return map[string]any{"full_name": p.name, "mobile": p.phone}
}

func (s *schedule) invent(p *modelPerson) {
	s.serial++
	p.name = fmt.Sprintf("見本 %d", s.serial)
	p.phone = fmt.Sprintf("090-0000-%04d", s.random.IntN(10000))
}

func (s *schedule) addUser() int64 {
	p := &modelPerson{live: true}
	s.invent(p)
	s.serial++
	fields := s.fields(p)
	fields["name"] = fmt.Sprintf("user%d@mail.example", s.serial)
	fields["email"] = fields["name"]
	user := s.shop.AddUser(fields)
	s.model.people[user] = p
	s.users = append(s.users, user)
	return user
}

// step changes something at random and tells the relay, mostly.
func (s *schedule) step() {
	user := s.users[s.random.IntN(len(s.users))]
	p := s.model.people[user]
	event := "change"
	switch s.random.IntN(8) {
	case 0:
		user, event = s.addUser(), "new"
	case 1, 2, 3:
		if !p.live {
			return
		}
		s.invent(p)
		s.shop.ChangeUser(user, s.fields(p))
	case 4, 5:
		if p.live {
			p.live, event = false, "delete"
			s.shop.DeleteUser(user)
		}
	case 6:
		if !p.live {
			p.live = true
			s.shop.RestoreUser(user)
		}
	case 7: // somebody else's member comes to be
		id := s.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "other-" + strconv.Itoa(s.serial), "column01": "他店"}})
		m, _ := s.crm.Find(id)
		s.model.foreign[id] = string(m.JSON())
	}
	copies := []int{0, 1, 1, 1, 1, 2, 3}[s.random.IntN(7)] // 0: no hook
	for range copies {
		s.send(user, event)
	}
	if s.random.IntN(10) == 0 { // a late redrive, of anybody
		s.send(s.users[s.random.IntN(len(s.users))], "redrive")
	}
}

// worker handles batches until done. Some batches two workers get at once.
func (s *schedule) worker(ctx context.Context, n int) {
	stack := s.stack()
	for ctx.Err() == nil {
		batch := s.queue.receive(1 + n%3*4)
		if len(batch) == 0 {
			time.Sleep(s.queue.idle())
			continue
		}
		work := func() { s.queue.settle(batch, stack.Relay(s.dead, s.queue).Work(context.Background(), batch)) }
		s.jitter.mu.Lock()
		twice := s.jitter.random.IntN(10) == 0
		s.jitter.mu.Unlock()
		var copies sync.WaitGroup
		if twice {
			copies.Go(work)
		}
		work()
		copies.Wait()
	}
}

func (s *schedule) run() {
	for range 3 {
		user := s.addUser()
		if s.random.IntN(2) == 0 { // a member from before hikyaku
			s.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": unique(user), "column01": "古い名前"}})
		}
	}
	keeper := s.addUser() // the account always shows somebody
	s.users = slices.DeleteFunc(s.users, func(u int64) bool { return u == keeper })
	s.reconcile()
	faults := func(f float64) {
		s.crm.SetFaults(yapplitest.Faults{ServerFail: f, Lost: f, Reset: f, Dropped: f, TooMany: f, RetryAfter: "2", Latency: 50 * time.Millisecond, Jitter: time.Second})
		s.shop.SetFaults(supersaastest.Faults{ServerFail: f, Dropped: f, TooMany: f, Latency: 50 * time.Millisecond, Jitter: time.Second})
	}
	faults(0.04)
	s.crm.Lag = s.settings.Lag
	ctx, stop := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for n := range 4 {
		workers.Go(func() { s.worker(ctx, n) })
	}
	for range 12 + s.random.IntN(20) {
		s.step()
		time.Sleep(time.Duration(s.random.IntN(int(20*time.Second))) + time.Millisecond)
	}
	faults(0)
	s.jitter.calm()
	for range 12 {
		s.drain()
		time.Sleep(s.settings.Lag + 2*time.Minute)
		if s.reconcile().Sent == 0 && s.queue.len() == 0 {
			break
		}
	}
	stop()
	workers.Wait()
}

// drain waits until the queue is empty, or only waits for a reconcile.
func (s *schedule) drain() {
	for range 50 {
		if s.queue.len() == 0 {
			return
		}
		time.Sleep(2 * time.Minute)
	}
}

// check compares Yappli with the model.
func (s *schedule) check() error {
	if n := s.queue.len(); n > 0 {
		return fmt.Errorf("%d messages are left", n)
	}
	for user, p := range s.model.people {
		found := s.crm.FindUnique(unique(user))
		switch {
		case len(found) > 1:
			return fmt.Errorf("user %d exists %d times", user, len(found))
		case len(found) == 0 && p.live:
			return fmt.Errorf("user %d has no member", user)
		case len(found) == 0:
			continue
		}
		m := found[0]
		if p.live && (m.Values["column01"] != p.name || m.Values["enabled"] != "1" || m.Values["column02"] != "+8190"+p.phone[4:8]+p.phone[9:]) {
			return fmt.Errorf("user %d: member holds %s %s enabled=%s, want %s %s", user, m.Values["column01"], m.Values["column02"], m.Values["enabled"], p.name, p.phone)
		}
		if !p.live && m.Values["enabled"] != "0" {
			return fmt.Errorf("user %d is gone, and its member enabled", user)
		}
	}
	for id, want := range s.model.foreign {
		if m, ok := s.crm.Find(id); !ok || string(m.JSON()) != want {
			return fmt.Errorf("foreign member %s changed", id)
		}
	}
	return nil
}

func TestRandomSchedulesConverge(t *testing.T) {
	t.Parallel()
	for i := range *schedules {
		seed := *scheduleSeed + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			s := newSchedule(t, seed)
			s.run()
			if err := s.check(); err != nil {
				t.Errorf("seed %d: %v\n%v\n%s", seed, err, s.metrics.all(), tailOf(s.log.String(), 6000))
			}
		})
		if t.Failed() {
			return
		}
	}
}

func tailOf(s string, n int) string { return s[max(0, len(s)-n):] }

var _ webhookrelay.Queue = (*fifo)(nil)
