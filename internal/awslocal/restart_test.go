package awslocal_test

import (
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/boltkeeper"
)

// A restarter calls a local AWS in-process that keeps its state in a file, and restarts it
// all the time, between two calls.
type restarter struct {
	t       *testing.T
	path    string
	options awslocal.Options

	mu      sync.RWMutex // held for reading by each call
	keeper  *boltkeeper.Keeper
	current *awslocal.AWS
	calls   int
	lives   int
	uploads int // multipart uploads that are open, which no restart survives
}

// restartEvery is how many calls a life has.
const restartEvery = 7

// restarted returns the configuration of clients of a local AWS that is restarted all
// the time.
func restarted(t *testing.T, o awslocal.Options) aws.Config {
	t.Helper()
	r := &restarter{t: t, path: filepath.Join(t.TempDir(), "state.bolt"), options: o}
	r.restart()
	t.Cleanup(func() {
		if r.lives < 3 {
			t.Errorf("it was begun %d times only", r.lives)
		}
		_ = r.current.Close()
		_ = r.keeper.Close()
	})
	c := config(r.current)
	c.HTTPClient = &http.Client{Transport: r}
	return c
}

func (r *restarter) restart() {
	if r.current != nil {
		ok(r.t, "close", r.current.Close())
		ok(r.t, "close", r.keeper.Close())
	}
	var err error
	r.keeper, err = boltkeeper.Open(r.path)
	ok(r.t, "open", err)
	r.options.Keeper = r.keeper
	r.current, err = awslocal.New(r.options)
	ok(r.t, "begin again", err)
	r.lives++
}

// RoundTrip calls the present one.
func (r *restarter) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	if r.calls++; r.calls%restartEvery == 0 && r.uploads == 0 {
		r.restart()
	}
	query := request.URL.Query()
	if query.Has("uploads") && request.Method == http.MethodPost {
		r.uploads++
	}
	r.mu.Unlock()
	r.mu.RLock()
	answer, err := r.current.Client().Transport.RoundTrip(request)
	r.mu.RUnlock()
	if err == nil && answer.StatusCode < http.StatusBadRequest && query.Has("uploadId") && (request.Method == http.MethodDelete || request.Method == http.MethodPost) {
		r.mu.Lock()
		r.uploads--
		r.mu.Unlock()
	}
	return answer, err
}
