package supersaastest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// postTimeout is how long the sandbox waits for a receiver. The provider's own
// patience is not documented.
const postTimeout = 5 * time.Second

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
	mu      sync.Mutex
	random  *rand.Rand
	pending []Delivery
	held    []Delivery
	done    []Delivery
	running sync.WaitGroup
}

func (m *mail) seed(seed uint64) { m.random = rand.New(rand.NewPCG(seed, 0x706f7374)) }

// fire queues body for every hook on a trigger and parent. The handling lock
// is held.
func (s *Server) fire(trigger string, parent int64, body []byte) {
	for _, h := range s.hooks {
		if h.Trigger != trigger || h.ParentID != parent {
			continue
		}
		payload := body
		for name, value := range h.Extra {
			payload = with(payload, name, value)
		}
		s.queue(Delivery{Hook: h.ID, Trigger: trigger, Target: h.Target, Body: payload})
	}
}

func (s *Server) queue(d Delivery) {
	m := &s.post
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.random.Float64() < s.Knobs.Drop {
		return
	}
	copies := 1
	if m.random.Float64() < s.Knobs.Duplicate {
		copies = 2
	}
	for range copies {
		if m.random.Float64() < s.Knobs.HoldBack {
			m.held = append(m.held, d)
			continue
		}
		m.pending = append(m.pending, d)
	}
}

// flush posts what is queued, without any lock held: a receiver may call the
// sandbox.
func (s *Server) flush() {
	m := &s.post
	m.mu.Lock()
	batch := m.pending
	m.pending = nil
	m.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	send := func() {
		for _, d := range batch {
			s.deliver(d)
		}
	}
	if !s.Knobs.Asynchronous {
		send()
		return
	}
	m.running.Add(1)
	go func() {
		defer m.running.Done()
		send()
	}()
}

func (s *Server) deliver(d Delivery) {
	client := http.Client{Transport: s.Poster, Timeout: postTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, d.Target, bytes.NewReader(d.Body))
	if err == nil {
		request.Header.Set("Content-Type", "application/json")
		d.Status, err = status(client.Do(request))
	}
	d.Err = err
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.post.done = append(s.post.done, d)
}

// status reads an answer to its end, so that its connection is used again.
func status(response *http.Response, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}

// Release posts the webhooks that HoldBack kept, the youngest first.
func (s *Server) Release() {
	m := &s.post
	m.mu.Lock()
	for i := len(m.held) - 1; i >= 0; i-- {
		m.pending = append(m.pending, m.held[i])
	}
	m.held = nil
	m.mu.Unlock()
	s.flush()
}

// Deliveries waits for those under way and returns what was posted so far,
// in the order in which the answers came.
func (s *Server) Deliveries() []Delivery {
	s.post.running.Wait()
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	return append([]Delivery(nil), s.post.done...)
}

// payload is a record as a webhook carries it: empty fields left out, the
// event at its end.
func payload(raw []byte, event string, order []string, leaveOut ...string) []byte {
	o := parseObject(raw)
	for name, value := range o {
		if name != "fk" && (string(value) == "null" || string(value) == `""`) {
			delete(o, name)
		}
	}
	for _, name := range leaveOut {
		delete(o, name)
	}
	return with(o.encode(order), "event", event)
}

// fireUser fires M for every change of a user, and U for a new one.
func (s *Server) fireUser(u *user, event string, fires bool) {
	if !fires {
		return
	}
	raw := s.users.record(u)
	if u.form != nil {
		raw = with(raw, "form", json.RawMessage(u.form))
	}
	body := payload(raw, event, userOrder)
	if event == "new" {
		s.fire("U", AccountID, body)
	}
	s.fire("M", AccountID, body)
}
