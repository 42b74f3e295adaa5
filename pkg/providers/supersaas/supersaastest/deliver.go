package supersaastest

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"hikyaku/pkg/providers/sandbox"
)

// A Delivery is a webhook on its way, or as it went.
type Delivery struct {
	Hook    int64
	Trigger string
	Target  string
	Body    []byte
	Status  int   // 0: not posted, or no answer
	Err     error // of the transport

	serial int64
}

// mail holds the webhooks. Nothing that was not answered is posted again.
type mail struct {
	set *Settings

	mu      sync.Mutex
	random  *rand.Rand
	pending []Delivery
	held    []Delivery
	done    []Delivery
	most    int // of done; 0: all
	running sync.WaitGroup

	serial  int64 // of webhooks
	journal *sandbox.Journal
	kept    *sandbox.Section
}

func newMail(set *Settings, seed uint64, most int, j *sandbox.Journal) *mail {
	return &mail{set: set, random: rand.New(rand.NewPCG(seed, 0x706f7374)), most: most, journal: j, kept: j.Section("mail")}
}

// queue lets a webhook be posted once its cause is kept, and keeps it until it was posted.
func (m *mail) queue(d Delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.random.Float64() < m.set.Knobs.Drop {
		return
	}
	copies := 1
	if m.random.Float64() < m.set.Knobs.Duplicate {
		copies = 2
	}
	for range copies {
		held := m.random.Float64() < m.set.Knobs.HoldBack
		m.serial++
		d.serial = m.serial
		m.note(d, held)
		m.journal.Then(func() { m.wait(d, held) })
	}
}

func (m *mail) wait(d Delivery, held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if held {
		m.held = append(m.held, d)
		return
	}
	m.pending = append(m.pending, d)
}

// flush posts what is queued, without any lock held: a receiver may call the
// sandbox.
func (m *mail) flush() {
	m.mu.Lock()
	batch := m.pending
	m.pending = nil
	m.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	send := func() {
		for _, d := range batch {
			m.deliver(d)
		}
	}
	if !m.set.Knobs.Asynchronous {
		send()
		return
	}
	m.running.Go(send)
}

func (m *mail) deliver(d Delivery) {
	d.Status, d.Err = sandbox.Post(m.set.Poster, d.Target, d.Body)
	m.kept.Delete(serialKey(d.serial))
	m.kept.Commit()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = append(m.done, d)
	if m.most > 0 && len(m.done) >= 2*m.most {
		m.done = slices.Clone(m.done[len(m.done)-m.most:])
	}
}

// PostWaiting posts the webhooks that a process left which was killed before they were
// answered. One of them may have arrived already. The next request would post them too.
func (s *Server) PostWaiting() { s.post.flush() }

// Release posts the webhooks that HoldBack kept, the youngest first.
func (s *Server) Release() { s.post.release() }

func (m *mail) release() {
	m.mu.Lock()
	slices.Reverse(m.held)
	for i := range m.held { // so that they are kept in the order in which they are posted
		m.kept.Delete(serialKey(m.held[i].serial))
		m.serial++
		m.held[i].serial = m.serial
		m.note(m.held[i], false)
	}
	m.pending, m.held = append(m.pending, m.held...), nil
	m.mu.Unlock()
	m.kept.Commit()
	m.flush()
}

// Deliveries waits for those under way and returns what was posted so far,
// in the order in which the answers came; of more than Options.MaxCalls the newest.
func (s *Server) Deliveries() []Delivery {
	s.post.running.Wait()
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	done := slices.Clone(s.post.done)
	if most := s.post.most; most > 0 && len(done) > most {
		done = done[len(done)-most:]
	}
	for i := range done {
		done[i].serial = 0
	}
	return done
}

// payload is a record as a webhook carries it: empty fields left out, the
// event at its end.
func payload(raw []byte, event string, order []string, leaveOut ...string) []byte {
	o := parseObject(raw)
	maps.DeleteFunc(o, func(name string, value json.RawMessage) bool {
		return name != "fk" && (string(value) == "null" || string(value) == `""`)
	})
	for _, name := range leaveOut {
		delete(o, name)
	}
	return with(o.encode(order), "event", event)
}
