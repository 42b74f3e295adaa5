package proveexport

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/boot"
	"hikyaku/internal/boot/bootexport"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A road lies between a function and its provider: no two requests take the
// same time on it, there or back.
type road struct {
	to     http.RoundTripper
	answer func(*http.Response) // on the way back; nil: left alone

	mu     sync.Mutex
	chance *rand.Rand
}

// RoundTrip takes 10 to 30 ms each way.
func (r *road) RoundTrip(request *http.Request) (*http.Response, error) {
	r.travel()
	answer, err := r.to.RoundTrip(request)
	r.travel()
	if err == nil && r.answer != nil {
		r.answer(answer)
	}
	return answer, err
}

func (r *road) travel() {
	r.mu.Lock()
	took := 10*time.Millisecond + time.Duration(r.chance.Int64N(int64(20*time.Millisecond)))
	r.mu.Unlock()
	time.Sleep(took)
}

// A paced is how runs share an account, and what they made of its rate.
type paced struct {
	runs             int
	believed, really float64 // requests per second
	answer           func(*http.Response)

	used, refused float64 // shares: of what was allowed, of all requests
	requests      int
}

// run exports with functions of their own, in virtual time, from a sandbox that
// refuses whatever is above its rate in any sliding second.
func (p *paced) run(t *testing.T) {
	t.Helper()
	const page = 2
	sandbox := yapplitest.New(yapplitest.Options{
		Seed: seed(), Records: page * sized(4000, 1000) / p.runs, Rate: p.really, Faults: yapplitest.Faults{RetryAfter: "1"},
	})
	local, err := awslocal.New(awslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = local.Close() }()
	secret := secretstore.Name(localstack.Prefix, providers.Yappli, secretstore.TokenPart)
	if err := local.Secrets.Create(t.Context(), secret, uuid.NewString(), sandbox.Token("https://yappli.test").Document()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var all sync.WaitGroup
	for n := range p.runs {
		f, err := bootexport.New(t.Context(), boot.Environ{
			Out: io.Discard, AWS: local.Client().Transport,
			HTTP: &road{to: sandbox.Client().Transport, answer: p.answer, chance: random(uint64(n))},
			Vars: map[string]string{
				"HIKYAKU_PREFIX": localstack.Prefix, "HIKYAKU_BUCKET": awslocal.Bucket, "AWS_REGION": awslocal.Region,
				"AWS_ENDPOINT_URL": "http://aws.local", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
				"HIKYAKU_EXPORT_PAGE_SIZE": fmt.Sprint(page + 1), // one row overlaps
				"HIKYAKU_YAPPLI_RATE":      fmt.Sprint(p.believed), "HIKYAKU_YAPPLI_SHARE": fmt.Sprint(0.97 / float64(p.runs)),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if _, err := f.Invoke(t.Context(), []byte(event("yappli/users", n))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	took := time.Since(began).Seconds()
	refused := 0
	calls := sandbox.Calls()
	for _, call := range calls {
		if call.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	p.requests, p.refused = len(calls), float64(refused)/float64(len(calls))
	p.used = float64(len(calls)-refused) / (took * p.really)
}

func (p *paced) holds() bool { return p.used >= 0.95 && p.refused <= 0.01 }

func (p *paced) String() string {
	return fmt.Sprintf("%.1f %% used, %.2f %% of %d refused", 100*p.used, 100*p.refused, p.requests)
}

// TestRate tells the functions an account's rate, or twice that.
func TestRate(t *testing.T) {
	for _, p := range []*paced{
		{runs: 1, believed: 20, really: 20}, {runs: 2, believed: 20, really: 20}, {runs: 1, believed: 3, really: 3},
		{runs: 1, believed: 20, really: 10}, {runs: 2, believed: 20, really: 10}, {runs: 1, believed: 4, really: 2},
	} {
		synctest.Test(t, p.run)
		figure(t, p.holds(), fmt.Sprintf("rate, %d at a time that believe in %.0f requests/s where %.0f are allowed", p.runs, p.believed, p.really), "at least 95 % of what is allowed used, at most 1 % refused", "%s", p)
	}
	deaf := &paced{runs: 1, believed: 20, really: 10, answer: func(r *http.Response) {
		if r.StatusCode == http.StatusTooManyRequests {
			r.StatusCode = http.StatusServiceUnavailable
		}
	}}
	synctest.Test(t, deaf.run)
	figure(t, !deaf.holds(), "rate, 1 at a time that believes in 20 requests/s where 10 are allowed, without the learning", "falls short", "%s", deaf)
}
