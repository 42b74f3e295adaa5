package crash

import (
	"context"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
)

// A Process is one life of the program under test. Every call that leaves it
// goes through one of the Process's seams, or through Effect. Once it is dead,
// all of them fail with ErrCrashed and have no effect. It is safe for
// concurrent use, though only a sequential program makes the same calls in
// each run.
type Process struct {
	at   *Point // nil: undisturbed
	kill context.CancelFunc

	mu    sync.Mutex
	calls []string
	dead  bool
}

// Effect is the seam for everything that has no own: it runs f as the call of
// that name, such as "queue.Send".
func (p *Process) Effect(ctx context.Context, name string, f func() error) error {
	fault, err := p.enter(ctx, name)
	if err != nil {
		return err
	}
	switch fault {
	case Before:
		return p.die()
	case After:
		_ = f()
		return p.die()
	case Failed:
		return ErrInjected
	case Lost:
		_ = f()
		return ErrInjected
	}
	err = f()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead { // by another goroutine, while the call was on its way
		return ErrCrashed
	}
	return err
}

// Made counts the calls so far.
func (p *Process) Made() int { return len(p.seen()) }

// enter records a call and returns the fault that is to happen at it.
func (p *Process) enter(ctx context.Context, name string) (Fault, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return "", ErrCrashed
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	p.calls = append(p.calls, name)
	if p.at != nil && p.at.Index == len(p.calls)-1 {
		return p.at.Fault, nil
	}
	return "", nil
}

func (p *Process) die() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	p.kill()
	return ErrCrashed
}

func (p *Process) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

func (p *Process) reached() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls) > p.at.Index
}

// fetch is Effect for a call that returns a value: the zero value if its
// answer does not arrive.
func fetch[T any](ctx context.Context, p *Process, name string, f func() (T, error)) (T, error) {
	var value, none T
	err := p.Effect(ctx, name, func() (err error) {
		value, err = f()
		return err
	})
	if err != nil {
		return none, err
	}
	return value, nil
}

// Objects returns s as the process sees it. The calls are "objects.Put KEY"
// and so on; a listing is one call.
func (p *Process) Objects(s objectstore.Store) objectstore.Store { return objects{p, s} }

type objects struct {
	p     *Process
	store objectstore.Store
}

func (o objects) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	var info objectstore.Info
	var body io.ReadCloser
	err := o.p.Effect(ctx, "objects.Get "+key, func() (err error) {
		info, body, err = o.store.Get(ctx, key)
		return err
	})
	if err != nil {
		if body != nil {
			_ = body.Close()
		}
		return objectstore.Info{}, nil, err
	}
	return info, body, nil
}

func (o objects) Head(ctx context.Context, key string) (objectstore.Info, error) {
	return fetch(ctx, o.p, "objects.Head "+key, func() (objectstore.Info, error) { return o.store.Head(ctx, key) })
}

func (o objects) Put(ctx context.Context, object objectstore.Object) (string, error) {
	return fetch(ctx, o.p, "objects.Put "+object.Key, func() (string, error) { return o.store.Put(ctx, object) })
}

func (o objects) Delete(ctx context.Context, key string) error {
	return o.p.Effect(ctx, "objects.Delete "+key, func() error { return o.store.Delete(ctx, key) })
}

func (o objects) SetTags(ctx context.Context, key string, tags map[string]string) error {
	return o.p.Effect(ctx, "objects.SetTags "+key, func() error { return o.store.SetTags(ctx, key, tags) })
}

func (o objects) GetTags(ctx context.Context, key string) (map[string]string, error) {
	return fetch(ctx, o.p, "objects.GetTags "+key, func() (map[string]string, error) { return o.store.GetTags(ctx, key) })
}

func (o objects) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		if err := o.p.Effect(ctx, "objects.List "+prefix, func() error { return nil }); err != nil {
			yield(objectstore.Info{}, err)
			return
		}
		o.store.List(ctx, prefix, after)(yield)
	}
}

// Secrets returns s as the process sees it. The calls are "secrets.Put NAME
// STAGE..." and so on.
func (p *Process) Secrets(s secretstore.Store) secretstore.Store { return secrets{p, s} }

type secrets struct {
	p     *Process
	store secretstore.Store
}

func (s secrets) Get(ctx context.Context, name, stage string) (secretstore.Value, error) {
	return fetch(ctx, s.p, "secrets.Get "+name+" "+stage, func() (secretstore.Value, error) { return s.store.Get(ctx, name, stage) })
}

func (s secrets) GetVersion(ctx context.Context, name, id string) (secretstore.Value, error) {
	return fetch(ctx, s.p, "secrets.GetVersion "+name, func() (secretstore.Value, error) { return s.store.GetVersion(ctx, name, id) })
}

func (s secrets) Describe(ctx context.Context, name string) (secretstore.Description, error) {
	return fetch(ctx, s.p, "secrets.Describe "+name, func() (secretstore.Description, error) { return s.store.Describe(ctx, name) })
}

func (s secrets) Create(ctx context.Context, name, id string, data []byte) error {
	return s.p.Effect(ctx, "secrets.Create "+name, func() error { return s.store.Create(ctx, name, id, data) })
}

func (s secrets) Put(ctx context.Context, name, id string, data []byte, stages ...string) error {
	return s.p.Effect(ctx, "secrets.Put "+name+" "+strings.Join(stages, " "), func() error {
		return s.store.Put(ctx, name, id, data, stages...)
	})
}

func (s secrets) Promote(ctx context.Context, name, stage, to, from string) error {
	return s.p.Effect(ctx, "secrets.Promote "+name+" "+stage, func() error { return s.store.Promote(ctx, name, stage, to, from) })
}

// Transport returns next as the process sees it. The calls are "http.POST
// HOST/PATH" and so on, and take effect when the answer's header is there.
func (p *Process) Transport(next http.RoundTripper) http.RoundTripper { return transport{p, next} }

type transport struct {
	p    *Process
	next http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var answer *http.Response
	err := t.p.Effect(r.Context(), "http."+r.Method+" "+r.URL.Host+r.URL.Path, func() (err error) {
		answer, err = t.next.RoundTrip(r) //nolint:bodyclose // closed below, or by the caller
		return err
	})
	if err != nil {
		if answer != nil {
			_ = answer.Body.Close()
		} else if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	return answer, nil
}
