package crash_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/crash"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
)

// A land has one of everything that a process can call.
type land struct {
	objects objectstore.Memory
	secrets secretstore.Memory
	posts   int
	opened  int // bodies of answers that nobody has closed
}

func (l *land) RoundTrip(r *http.Request) (*http.Response, error) {
	l.posts++
	l.opened++
	_ = r.Body.Close()
	return &http.Response{StatusCode: http.StatusOK, Body: body{strings.NewReader("ok"), l}}, nil
}

type body struct {
	io.Reader

	land *land
}

func (b body) Close() error { b.land.opened--; return nil }

// call uses every method of every seam once and returns the first error.
func call(ctx context.Context, p *crash.Process, l *land) error {
	objects, secrets := p.Objects(&l.objects), p.Secrets(&l.secrets)
	first, second := uuid.NewString(), uuid.NewString()
	for _, step := range []func() error{
		func() error {
			_, err := objects.Put(ctx, objectstore.Object{Key: "k", Body: strings.NewReader("v"), Size: 1})
			return err
		},
		func() error { _, err := objects.Head(ctx, "k"); return err },
		func() error {
			_, body, err := objects.Get(ctx, "k")
			if err == nil {
				err = body.Close()
			}
			return err
		},
		func() error {
			for _, err := range objects.List(ctx, "", "") {
				return err
			}
			return errors.New("an empty list")
		},
		func() error { return objects.SetTags(ctx, "k", map[string]string{"t": "1"}) },
		func() error { _, err := objects.GetTags(ctx, "k"); return err },
		func() error { return objects.Delete(ctx, "k") },
		func() error { return secrets.Create(ctx, "s", first, []byte("1")) },
		func() error { return secrets.Put(ctx, "s", second, []byte("2"), "NEXT", secretstore.Pending) },
		func() error { return secrets.Promote(ctx, "s", secretstore.Current, second, first) },
		func() error { _, err := secrets.Get(ctx, "s", secretstore.Current); return err },
		func() error { _, err := secrets.GetVersion(ctx, "s", first); return err },
		func() error { _, err := secrets.Describe(ctx, "s"); return err },
		func() error {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://provider.example/token?x=1", strings.NewReader("v"))
			if err != nil {
				return err
			}
			answer, err := p.Transport(l).RoundTrip(r)
			if err == nil {
				err = answer.Body.Close()
			}
			return err
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func TestEverySeamIsEnumerated(t *testing.T) {
	t.Parallel()
	report := crash.Enumerate(t, crash.Scenario[*land]{
		Setup:   func(testing.TB) *land { return new(land) },
		Run:     call,
		Recover: func(context.Context, *crash.Process, *land) error { return nil },
		Check: func(l *land, o crash.Outcome) error {
			if len(o.Points) == 0 {
				return o.Errs[0]
			}
			want := crash.ErrInjected
			if f := o.Points[0].Fault; f == crash.Before || f == crash.After {
				want = crash.ErrCrashed
			}
			if !errors.Is(o.Errs[0], want) {
				return errors.New("the fault did not reach the caller")
			}
			if l.opened != 0 {
				return errors.New("a body was left open")
			}
			return nil
		},
	})
	want := []string{
		"objects.Put k", "objects.Head k", "objects.Get k", "objects.List ", "objects.SetTags k", "objects.GetTags k", "objects.Delete k",
		"secrets.Create s", "secrets.Put s NEXT AWSPENDING", "secrets.Promote s AWSCURRENT",
		"secrets.Get s AWSCURRENT", "secrets.GetVersion s", "secrets.Describe s", "http.POST provider.example/token",
	}
	if !slices.Equal(report.Calls, want) || report.Cases != 4*len(want) {
		t.Errorf("%d cases of calls %q, want %q", report.Cases, report.Calls, want)
	}
}
