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
}

// mail holds the webhooks. Nothing that was not answered is posted again.
type mail struct {
	set *Settings

	mu      sync.Mutex
	random  *rand.Rand
	pending []Delivery
	held    []Delivery
	done    []Delivery
	running sync.WaitGroup
}

func newMail(set *Settings, seed uint64) *mail {
	return &mail{set: set, random: rand.New(rand.NewPCG(seed, 0x706f7374))}
}

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
		if m.random.Float64() < m.set.Knobs.HoldBack {
			m.held = append(m.held, d)
			continue
		}
		m.pending = append(m.pending, d)
	}
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
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = append(m.done, d)
}

// Release posts the webhooks that HoldBack kept, the youngest first.
func (s *Server) Release() { s.post.release() }

func (m *mail) release() {
	m.mu.Lock()
	slices.Reverse(m.held)
	m.pending, m.held = append(m.pending, m.held...), nil
	m.mu.Unlock()
	m.flush()
}

// Deliveries waits for those under way and returns what was posted so far,
// in the order in which the answers came.
func (s *Server) Deliveries() []Delivery {
	s.post.running.Wait()
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	return slices.Clone(s.post.done)
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
