package awslocal_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/boltkeeper"
)

// A restarter serves a local AWS that keeps its state in a file, and restarts it all the
// time, between two calls.
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
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	c := config(r.current)
	c.BaseEndpoint, c.HTTPClient = &server.URL, nil
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

// ServeHTTP lets the present one serve.
func (r *restarter) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	if r.calls++; r.calls%restartEvery == 0 && r.uploads == 0 {
		r.restart()
	}
	query := request.URL.Query()
	if query.Has("uploads") && request.Method == http.MethodPost {
		r.uploads++
	}
	r.mu.Unlock()
	answer := &answered{ResponseWriter: w}
	func() {
		r.mu.RLock()
		defer r.mu.RUnlock() // also where the connection is cut
		r.current.Handler().ServeHTTP(answer, request)
	}()
	if answer.status < http.StatusBadRequest && query.Has("uploadId") && (request.Method == http.MethodDelete || request.Method == http.MethodPost) {
		r.mu.Lock()
		r.uploads--
		r.mu.Unlock()
	}
}

// answered knows the status of an answer.
type answered struct {
	http.ResponseWriter

	status int
}

// WriteHeader notes the status.
func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}
