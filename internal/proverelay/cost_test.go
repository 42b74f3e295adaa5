package proverelay

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/cost"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// What the cost model assumes: virtual time holds no work of a processor, and
// no latency but the one that the rig is given.
const (
	answers = 200 * time.Millisecond  // a provider answers after 200 to 400 ms, 300 on average
	every   = 2592 * time.Millisecond // a webhook, on average: a million in 30 days
	// At 128 MB, which is a fourteenth of a processor. All that this proof does
	// for a webhook, sandboxes included, was measured as 0.7 ms of a whole one,
	// which is 9 ms; TLS is not in it.
	ingestWork = 10 * time.Millisecond
	relayWork  = 60 * time.Millisecond
	memory     = 0.125 // GB
)

const receive = "sqs.ReceiveMessage"

// logBytes counts as CloudWatch Logs does: each line and 26 bytes. On Lambda each line
// bears the invocation's id, too.
type logBytes struct{ n atomic.Int64 }

func (l *logBytes) Write(line []byte) (int, error) {
	const id = `"requestId":"01234567-89ab-cdef-0123-456789abcdef",`
	l.n.Add(int64(len(line) + (26+len(id))*bytes.Count(line, []byte("\n"))))
	return len(line), nil
}

// spent is what a number of webhooks took.
type spent struct {
	webhooks, ingests, relays int
	took                      time.Duration // in virtual time
	logs                      int64
	calls                     map[string]int
}

// billed is the time that Lambda bills, with the work of a processor.
func (s spent) billed() time.Duration {
	return s.took + time.Duration(s.ingests)*ingestWork + time.Duration(s.relays)*relayWork
}

// price is what a million such webhooks cost in a region.
func (s spent) price(p cost.Prices) float64 {
	usd := float64(s.ingests)*p.HTTPRequest + float64(s.ingests+s.relays)*p.Invocation + s.billed().Seconds()*memory*p.GBSecond +
		float64(s.logs)*p.LogByte
	for call, n := range s.calls {
		switch service, _, _ := strings.Cut(call, "."); {
		case call == receive:
			usd += float64(s.relays) * p.Queue // those that brought a message; the others come by the hour
		case service == "sqs":
			usd += float64(n) * p.Queue
		case call == "s3.GetObject":
			usd += float64(n) * p.Read
		case service == "s3":
			usd += float64(n) * p.Write
		}
	}
	return usd / float64(s.webhooks) * 1e6
}

// one in so many writes to S3 and sends to the queue fails, or is answered by
// nobody although it took effect.
const failing = 200

// spend sends n webhooks at random times, and counts until all are handled.
func (r *rig) spend(n int, logs *logBytes, change func(i int, id int64)) spent {
	r.Helper()
	for i := range n / failing {
		after := i * failing
		r.aws.Inject(
			sandbox.Fault{Route: "s3.PutObject", Kind: sandbox.ServerFail, After: after},
			sandbox.Fault{Route: "s3.PutObject", Kind: sandbox.Lost, After: after + failing/2},
			sandbox.Fault{Route: "sqs.SendMessageBatch", Kind: sandbox.TooMany, After: after},
		)
	}
	before, ingests, relays, took, logged := r.aws.Calls(), r.ingests.served, r.relays.served, r.ingests.took+r.relays.took, logs.n.Load()
	gaps, ids := prove.Random(7), r.ids()
	for i := range n {
		time.Sleep(time.Duration(gaps.ExpFloat64() * float64(every)))
		change(i, ids[i%len(ids)])
	}
	r.drained(time.Hour)
	r.aws.ClearFaults()
	calls := r.aws.Calls()
	for call := range calls {
		calls[call] -= before[call]
	}
	return spent{
		webhooks: n, ingests: r.ingests.served - ingests, relays: r.relays.served - relays,
		took: r.ingests.took + r.relays.took - took, logs: logs.n.Load() - logged, calls: calls,
	}
}

// costs counts what n webhooks take, first where each changes a user, then
// where none does.
func costs(t *testing.T, n int, vars map[string]string) (changed, same spent) {
	t.Helper()
	logs := &logBytes{}
	inBubble(t, options{users: 100, members: 20, latency: answers, logs: logs, vars: vars}, func(r *rig) {
		r.backlog(0)
		r.running.Go(func() {
			_ = r.aws.Poll(r.ctx, awslocal.Mapping{Queue: users, Function: localstack.Relay, BatchSize: 1, MaxConcurrency: r.workers()})
		})
		r.drained(time.Hour)
		changed = r.spend(n, logs, func(i int, id int64) {
			r.shop.ChangeUser(id, map[string]any{"full_name": fmt.Sprintf("改姓 %06d", i)})
		})
		if faults := r.wrong(r.ids()); len(faults) > 0 {
			t.Errorf("%d users are wrong: %.300q", len(faults), faults)
		}
		same = r.spend(n, logs, func(_ int, id int64) { r.shop.ChangeUser(id, map[string]any{"credit": "1"}) })
	})
	return changed, same
}

// dearest is the region where they cost the most.
func (s spent) dearest() (usd float64, region string) {
	for _, p := range cost.PriceList() {
		if price := s.price(p); price > usd {
			usd, region = price, p.Region
		}
	}
	return usd, region
}

// TestCost counts the calls of each webhook that reach the local AWS, and
// what Lambda would bill, with a message a batch. docs/cost.md shows it.
func TestCost(t *testing.T) {
	t.Parallel()
	changed, same := costs(t, prove.Size(2000, 300), nil)
	for _, c := range []struct {
		spent
		name string
		most float64
	}{{changed, "that each change a user", 16}, {same, "that change nothing", 5}} {
		per := func(n int) float64 { return float64(n) / float64(c.webhooks) }
		usd, region := c.dearest()
		sqs := c.calls["sqs.SendMessageBatch"] + c.relays + c.calls["sqs.DeleteMessageBatch"] + c.calls["sqs.ChangeMessageVisibility"]
		prove.Figure(t, usd <= c.most && c.ingests >= c.webhooks && c.relays > 0 && c.logs > 0, "a million webhooks "+c.name, fmt.Sprintf("at most $%.0f", c.most),
			"$%.2f in %s; each %.3f ingests, %.3f relays, %.0f ms of Lambda, %.3f writes and %.3f reads of S3, %.3f calls of SQS, %d bytes of logs; of %d", usd, region,
			per(c.ingests), per(c.relays), 1000*c.billed().Seconds()/float64(c.webhooks), per(c.calls["s3.PutObject"]), per(c.calls["s3.GetObject"]), per(sqs), int(c.logs)/c.webhooks, c.webhooks)
	}
	template := prove.ReadTemplate(t, root)
	global := func(keys ...string) string {
		return fmt.Sprint(template.At(append([]string{"Globals", "Function"}, keys...)...))
	}
	if global("MemorySize") != "128" || global("Architectures") != "[arm64]" || global("LoggingConfig", "SystemLogLevel") != "WARN" || template.Value(template.At("Parameters", "LogLevel", "Default")) != "WARN" {
		t.Error("template.yaml: the costs are of arm64, 128 MB and the log level WARN of platform and function")
	}
	for _, function := range []string{localstack.Ingest, localstack.Relay} {
		properties := []string{"Resources", localstack.Resource(function), "Properties"}
		own, _ := template.At(append(properties, "LoggingConfig")...).(map[string]any)
		if own["SystemLogLevel"] != nil || own["ApplicationLogLevel"] != nil || template.At(append(properties, "MemorySize")...) != nil || template.At(append(properties, "Tracing")...) != nil {
			t.Errorf("template.yaml: %s has a memory, log level or tracing of its own", function)
		}
	}
}

// A relay whose second read waits for the account's rate is billed for that.
// Each instance has the same rate as above, but four of them do not read in pairs.
func TestCost_WithoutPairs(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	waiting, _ := costs(t, prove.Size(2000, 200), map[string]string{"HIKYAKU_INSTANCES": "4", "HIKYAKU_SUPERSAAS_SHARE": "1", "HIKYAKU_YAPPLI_SHARE": "1"})
	usd, _ := waiting.dearest()
	prove.Figure(t, usd > 16, "guard removed: a relay that waits between its two reads, a million changes", "must cost more than $16", "$%.2f", usd)
}

// Two workers that read in pairs, and two exports, are not refused.
func TestDrain_InPairs(t *testing.T) {
	t.Parallel()
	d := &traffic{}
	d.reset()
	const pair = 2
	n := prove.Size(500, 60)
	inBubble(t, options{users: n, members: 40, workers: pair, spare: pair + exports, latency: 300 * time.Millisecond, providers: d.watch}, func(r *rig) {
		r.backlog(0)
		r.export()
		d.reset()
		r.poll()
		r.drained(48 * time.Hour)
	})
	peak, bar := d.peak(providers.SuperSaaS), 4*10+pair+exports
	prove.Figure(t, peak <= bar && d.refused == 0, "requests in any ten seconds, supersaas, two workers that read in pairs", fmt.Sprintf("%d, and the sandbox refuses more", bar), "at most %d, %d refused", peak, d.refused)
}
