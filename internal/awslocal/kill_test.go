package awslocal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/boltkeeper"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/sandbox"
)

// What a process of this test binary needs to know to be the local AWS that is killed:
// where it keeps its state, and whether it does so only after it has answered.
const (
	killedDir  = "AWSLOCAL_TEST_DIR"
	killedLate = "AWSLOCAL_TEST_LATE"
)

// serveUntilKilled serves a local AWS, and a person's hand in its queues, until it is
// killed or its parent ends.
func serveUntilKilled(dir string) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	var keeper sandbox.Keeper
	file, err := boltkeeper.Open(filepath.Join(dir, "state.bolt"))
	if keeper = file; os.Getenv(killedLate) != "" {
		keeper = newLateKeeper(file)
	}
	var a *awslocal.AWS
	if err == nil {
		a, err = awslocal.New(awslocal.Options{Dir: filepath.Join(dir, "objects"), Keeper: keeper})
	}
	var listener net.Listener
	if err == nil {
		a.AddSource(killedSource)
		if err = a.AddSchedule("s", hourly); err == nil {
			listener, err = net.Listen("tcp", "127.0.0.1:0")
		}
	}
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/", a.Handler())
	mux.HandleFunc("POST /hand/{act}", func(w http.ResponseWriter, r *http.Request) {
		if err := useHand(a.Hand, r); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
		}
	})
	fmt.Println("http://" + listener.Addr().String())
	_ = http.Serve(listener, mux)
}

func useHand(hand *awslocal.Hand, r *http.Request) error {
	queue, id := r.FormValue("queue"), r.FormValue("id")
	switch r.PathValue("act") {
	case "delay":
		return hand.Delay(queue, id, time.Second)
	case "duplicate":
		_, err := hand.Duplicate(queue, id)
		return err
	case "drop":
		return hand.Drop(queue, id)
	}
	return errors.ErrUnsupported
}

var killedSource = awslocal.Mapping{ID: "5f0c0c1e-6a43-4f0e-9d59-000000000001", Queue: "line-0.fifo", Function: "f"}

// A lateKeeper acknowledges commits before it keeps them: it is what the proof must find.
type lateKeeper struct {
	sandbox.Keeper

	commits chan []sandbox.Change
}

func newLateKeeper(k sandbox.Keeper) lateKeeper {
	l := lateKeeper{k, make(chan []sandbox.Change, 1<<16)}
	go func() {
		for c := range l.commits {
			time.Sleep(5 * time.Millisecond)
			_ = k.Commit(c...)
		}
	}()
	return l
}

// Commit keeps the changes later.
func (l lateKeeper) Commit(changes ...sandbox.Change) error {
	l.commits <- append([]sandbox.Change(nil), changes...)
	return nil
}

// A rampage is a local AWS that is killed again and again while clients change all that
// it keeps. The clients note what they were told, and what they were about to be told.
type rampage struct {
	t      *testing.T
	dir    string
	late   bool
	random *rand.Rand

	clients   []client
	dying     atomic.Bool
	mu        sync.Mutex
	problems  []string
	confirmed int // changes that were acknowledged
}

// A client changes things of its own, one after the other.
type client interface {
	// begin makes what the client needs, once.
	begin(ctx context.Context, c aws.Config) error
	// step changes something. It fails with errDied if it does not know what became of it.
	step(ctx context.Context, c aws.Config, random *rand.Rand) error
	// check compares what is there with what the client knows: at c as it was left, and at
	// later as it is when everything in flight has become visible. It settles doubts.
	check(ctx context.Context, c, later aws.Config) (problems []string)
}

func configAt(url string) aws.Config {
	return aws.Config{
		Region: awslocal.Region, BaseEndpoint: &url, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}
}

// refused says whether the service answered, if only with a refusal.
func refused(err error) bool {
	var answer smithy.APIError
	return errors.As(err, &answer)
}

// live begins a process, lets all clients work, and kills it after a while.
func (r *rampage) live(first bool, life time.Duration) {
	r.t.Helper()
	r.dying.Store(false)
	child := exec.CommandContext(r.t.Context(), os.Args[0])
	child.Env = append(os.Environ(), killedDir+"="+r.dir)
	if r.late && !first {
		child.Env = append(child.Env, killedLate+"=yes")
	}
	in, err := child.StdinPipe()
	ok(r.t, "pipe", err)
	defer func() { _ = in.Close() }()
	out, err := child.StdoutPipe()
	ok(r.t, "pipe", err)
	ok(r.t, "start", child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	ok(r.t, "address", err)
	url := strings.TrimSpace(line)
	if !strings.HasPrefix(url, "http://") {
		r.t.Fatalf("the local AWS says %q", url)
	}
	if first {
		for _, c := range r.clients {
			ok(r.t, "begin", c.begin(r.t.Context(), configAt(url)))
		}
	}
	var all sync.WaitGroup
	for i, c := range r.clients {
		random := rand.New(rand.NewPCG(r.random.Uint64(), uint64(i)))
		all.Go(func() { r.work(c, url, random) })
	}
	time.Sleep(life)
	r.dying.Store(true)
	_ = child.Process.Kill()
	_ = child.Wait()
	all.Wait()
}

func (r *rampage) work(c client, url string, random *rand.Rand) {
	for !r.dying.Load() {
		err := c.step(r.t.Context(), configAt(url), random)
		r.mu.Lock()
		if err == nil {
			r.confirmed++
		} else if !r.dying.Load() || refused(err) {
			r.problems = append(r.problems, "while it lived: "+err.Error())
		}
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// look opens what the process left, twice: as it is, and thirteen hours later, when
// nothing is in flight any more. What that changes is not for the next process.
func (r *rampage) look() {
	r.t.Helper()
	configs := make([]aws.Config, 0, 2)
	for i, ahead := range []time.Duration{0, 13 * time.Hour} {
		state, err := os.ReadFile(filepath.Join(r.dir, "state.bolt"))
		ok(r.t, "read", err)
		path := filepath.Join(r.t.TempDir(), fmt.Sprint("copy-", i))
		ok(r.t, "copy", os.WriteFile(path, state, 0o600))
		keeper, err := boltkeeper.Open(path)
		ok(r.t, "open", err)
		defer func() { _ = keeper.Close() }()
		a, err := awslocal.New(awslocal.Options{Dir: filepath.Join(r.dir, "objects"), Keeper: keeper, Now: func() time.Time { return time.Now().Add(ahead) }})
		if err != nil {
			r.problems = append(r.problems, "the next one cannot begin: "+err.Error())
			return
		}
		defer func() { _ = a.Close() }()
		a.AddSource(killedSource)
		ok(r.t, "schedule", a.AddSchedule("s", hourly))
		configs = append(configs, config(a))
	}
	for _, c := range r.clients {
		r.problems = append(r.problems, c.check(r.t.Context(), configs[0], configs[1])...)
	}
}

// rage lives and dies a number of times, or until something is wrong.
func rage(t *testing.T, kills int, late bool, seed uint64) (problems []string, confirmed int) {
	t.Helper()
	r := &rampage{t: t, dir: t.TempDir(), late: late, random: prove.Random(seed)}
	r.clients = append(r.clients, cells()...)
	for i := range 3 {
		r.clients = append(r.clients, newKilledLine(i))
	}
	for n := range kills {
		r.live(n == 0, time.Duration(50+r.random.IntN(250))*time.Millisecond)
		if r.look(); len(r.problems) > 0 {
			break
		}
	}
	return r.problems, r.confirmed
}

// TestProveNothingAcknowledgedIsLost kills a local AWS at random under load of all kinds
// of changing calls, and compares what was acknowledged with what is there.
func TestProveNothingAcknowledgedIsLost(t *testing.T) {
	prove.Heavy(t)
	kills := prove.Size(100, 5)
	problems, confirmed := rage(t, kills, false, 10)
	for _, p := range problems {
		t.Log(p)
	}
	prove.Figure(t, len(problems) == 0 && confirmed > 50*kills, "local AWS killed under load", "nothing acknowledged is lost", "%d wrong of %d changes in %d kills", len(problems), confirmed, kills)
}

// TestProveALateCommitIsFound is the guard of the proof: one that answers first loses
// something, and the proof sees it.
func TestProveALateCommitIsFound(t *testing.T) {
	prove.Heavy(t)
	problems, _ := rage(t, 6, true, 11)
	prove.Figure(t, len(problems) > 0, "an answer before its commit", "is found", "%d wrong", len(problems))
}
