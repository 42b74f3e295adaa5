package proveexport

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/export"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
)

// A bench runs one function's real binary under the local Lambda runtime with
// the template's settings, against providers whose answers are a burden.
type bench struct {
	*testing.T

	function string
	template prove.Template
	memory   int // MB, of the function
	binary   string
	mapping  string // path of the relay's mapping
	vars     map[string]string
	source   string // address of the providers
	served   *pile
	sink     *sink // nil: the store keeps what it is given
	aws      *awslocal.AWS
	output   strings.Builder
}

const (
	objectCap = 1 << 20 // of an answer about one object
	pageCap   = 8 << 20 // of a list's page, where the template names no other
)

func newBench(t *testing.T, function string) *bench {
	t.Helper()
	b := &bench{T: t, template: prove.ReadTemplate(t, "../.."), served: &pile{}}
	var err error
	if b.binary, err = prove.Build(t.Context(), t.TempDir(), localstack.Command(function)); err != nil {
		t.Fatal(err)
	}
	if b.source, err = localstack.Serve(t.Context(), "127.0.0.1:0", b.served); err != nil {
		t.Fatal(err)
	}
	mapping, err := os.ReadFile("../../config/mapping.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b.mapping = filepath.Join(t.TempDir(), "mapping.yaml")
	if err := os.WriteFile(b.mapping, mapping, 0o600); err != nil {
		t.Fatal(err)
	}
	b.renew(function)
	return b
}

// renew begins again with an AWS that holds nothing but the secrets.
func (b *bench) renew(function string) {
	b.Helper()
	if b.aws != nil {
		_ = b.aws.Close()
	}
	local, err := awslocal.New(awslocal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = local.Close() })
	b.aws = local
	for _, name := range providers.Names() {
		sandbox := localstack.NewSandbox(name, sandbox.Options{Records: -1})
		if sales, ok := sandbox.(*assisttenchotest.Server); ok {
			sales.Quirks.Paging.Style = "none"
		}
		b.create(secretstore.Name(localstack.Prefix, name, secretstore.ConnectionPart), sandbox.Connection(b.source).Document())
		if function != localstack.TokenRefresh {
			b.create(secretstore.Name(localstack.Prefix, name, secretstore.TokenPart), sandbox.Token(b.source).Document())
		}
	}
	if _, err := local.CreateQueue("users.fifo", nil); err != nil {
		b.Fatal(err)
	}
	b.play(function)
}

func (b *bench) create(name string, document []byte) {
	b.Helper()
	if err := b.aws.Secrets.Create(b.Context(), name, uuid.NewString(), document); err != nil {
		b.Fatal(err)
	}
}

// play takes the settings of a function: those of the template with the rates
// lifted, at these addresses.
func (b *bench) play(function string) {
	b.Helper()
	resource := localstack.Resource(function)
	b.function, b.vars = function, b.template.Variables(resource)
	b.memory = b.template.Number(b, "Globals", "Function", "MemorySize")
	if b.template.At("Resources", resource, "Properties", "MemorySize") != nil {
		b.memory = b.template.Number(b, "Resources", resource, "Properties", "MemorySize")
	}
	store := b.aws.Handler()
	if b.sink != nil {
		b.sink.rest = store
		store = b.sink
	}
	endpoint, err := localstack.Serve(b.Context(), "127.0.0.1:0", store)
	if err != nil {
		b.Fatal(err)
	}
	for name := range b.vars {
		if strings.HasSuffix(name, "_RATE") {
			b.vars[name] = strconv.Itoa(anyRate)
		}
	}
	queue := endpoint + "/" + awslocal.Account + "/users.fifo"
	maps.Copy(b.vars, map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": awslocal.Region, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"HIKYAKU_PREFIX": localstack.Prefix, "HIKYAKU_BUCKET": awslocal.Bucket, "HIKYAKU_ALLOW_HOSTS": "127.0.0.1",
		"HIKYAKU_TOKENREFRESH_FUNCTION": "", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(b.memory),
		"HIKYAKU_MAPPING_FILE": b.mapping, "HIKYAKU_QUEUE_URL": queue, "HIKYAKU_DEAD_LETTER_QUEUE_URL": queue,
		"HIKYAKU_EXPORT_MAX_SHRINK": "100", "HIKYAKU_RELAY": "write", "HIKYAKU_ID_IS_UNIQUE_ID": "yes", "HIKYAKU_LINK": "always", "HIKYAKU_LIST_LAG": "1s",
	})
}

// mib is a setting of the template in bytes, or a fallback if it has none.
func (b *bench) mib(name string, fallback int) int {
	n, err := strconv.Atoi(b.vars[name])
	if err != nil {
		return fallback
	}
	return n << 20
}

// weigh runs one invocation in a new process and returns the most memory in MB
// that it held.
func (b *bench) weigh(payload string) (peakMB float64, result awslocal.Result) {
	b.Helper()
	env := make([]string, 0, len(b.vars))
	for name, value := range b.vars {
		env = append(env, name+"="+value)
	}
	b.output.Reset()
	err := b.aws.Register(awslocal.Function{Name: b.function, Binary: b.binary, Env: env, Timeout: 2 * time.Hour, Output: &b.output})
	if err != nil {
		b.Fatal(err)
	}
	result, err = b.aws.Invoke(b.Context(), b.function, []byte(payload))
	if err != nil {
		b.Fatal(err)
	}
	pids := b.aws.Processes(b.function)
	if len(pids) == 0 {
		b.Logf("%s is gone: %s", b.function, b.output.String())
		return 1 << 20, result
	}
	return peak(b.T, pids[0]), result
}

// A heaviest keeps the worst of several figures.
type heaviest struct {
	mb   float64
	what string
	runs int
}

func (h *heaviest) add(mb float64, what string) {
	h.runs++
	if mb > h.mb {
		h.mb, h.what = mb, what
	}
}

func (h *heaviest) figure(b *bench, name string) {
	b.Helper()
	most := 0.9 * float64(b.memory)
	figure(b.T, h.mb < most, "memory, "+name, fmt.Sprintf("VmHWM below 90 %% of %d MB", b.memory), "%.1f MB at most, of %q, in %d runs", h.mb, h.what, h.runs)
}

// TestWorst_Export serves each list as badly as the caps allow, and worse.
func TestWorst_Export(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	b := newBench(t, localstack.Export)
	datasets := []string{"yappli/users", "supersaas/users", "shopline/customers", "assisttencho/orders"}
	pageBytes, recordBytes := b.mib("HIKYAKU_EXPORT_BODY_MIB", pageCap), b.mib("HIKYAKU_EXPORT_RECORD_MIB", pageCap)
	spool := b.mib("HIKYAKU_EXPORT_SPOOL_MIB", pageBytes)
	const elements = 10_000
	worstOf := []int{6, 8, 7, 10} // the burden of each dataset that 'go test' takes
	run := 0
	for i, dataset := range datasets {
		var most heaviest
		all := burdens(elements)
		for _, j := range prove.Choose(len(all), worstOf[i]) {
			heavy := all[j]
			*b.served = heavy.pile(sized(12, 3), 50, pageBytes, recordBytes)
			if dataset == "assisttencho/orders" { // the whole shop in one answer
				b.served.fill(sized(spool, spool/16) * 9 / 10)
			}
			run++
			mb, result := b.weigh(event(dataset, run))
			what := fmt.Sprintf("%s: %s", dataset, heavy.name)
			most.add(mb, what)
			t.Logf("%-60s %6.1f MB  %s %.150s", what, mb, result.Error, result.Payload)
			var a export.Answer
			_ = json.Unmarshal(result.Payload, &a)
			want := export.Done
			if heavy.ids > 0 && dataset == "shopline/customers" {
				want = doubtful // nothing can be asked for after an id that no position can hold
			}
			if heavy.beyond == nil && (a.Status != want || want == export.Done && a.Rows != b.served.records) {
				t.Errorf("%s: %d rows of %d, %s %.300s", what, a.Rows, b.served.records, result.Error, result.Payload)
			}
			if heavy.beyond != nil && result.Error == "" && a.Status == export.Done {
				t.Errorf("%s was published", what)
			}
		}
		most.figure(b, "export, the worst answers of "+dataset)
	}
}

// TestWorst_Rows exports many small rows.
func TestWorst_Rows(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	b := newBench(t, localstack.Export)
	b.sink = &sink{parts: map[string]http.Header{}}
	b.play(localstack.Export)
	for n, c := range []struct {
		dataset, source string
		rows            int
	}{{"yappli/users", "an offset source", sized(1_000_000, 10_000)}, {"shopline/customers", "a cursor", sized(10_000_000, 100_000)}} {
		*b.served = pile{burden: burden{tail: func(int) string { return `,"points":12}` }}, records: c.rows, cap: pageCap}
		began := time.Now()
		mb, result := b.weigh(event(c.dataset, 1000+n))
		var a export.Answer
		_ = json.Unmarshal(result.Payload, &a)
		if lines := b.sink.counted(); a.Status != export.Done || a.Rows != c.rows || lines != c.rows {
			t.Errorf("%s: %d rows and %d lines of %d, %s %.300s", c.dataset, a.Rows, lines, c.rows, result.Error, result.Payload)
		}
		most := heaviest{}
		most.add(mb, c.dataset)
		most.figure(b, fmt.Sprintf("export, %d small rows of %s", c.rows, c.source))
		t.Logf("in %v", time.Since(began).Round(time.Second))
	}
}

// TestWorst_Reconcile gives both lists of a reconcile pages at their caps.
func TestWorst_Reconcile(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	b := newBench(t, localstack.Reconcile)
	const elements = 10_000
	var most heaviest
	all := burdens(elements)
	for _, j := range prove.Choose(len(all), 3) {
		heavy := all[j]
		if heavy.ids > 0 { // a user's id is a number
			continue
		}
		if heavy.number == 1 { // which would look as if the list ignored its parameters
			heavy.number = pageCap / objectCap
		}
		*b.served = heavy.pile(sized(6, 2), 1000, pageCap, pageCap)
		mb, result := b.weigh(`{"action":"reconcile"}`)
		most.add(mb, heavy.name)
		t.Logf("%-60s %6.1f MB  %s %.200s", heavy.name, mb, result.Error, result.Payload)
	}
	most.figure(b, "reconcile, both lists at their worst")
}

// TestWorst_Relay gives a full batch of messages about users whose single
// records, and whose members', are at their caps. A reconcile of short lists
// comes first, without which nobody is created.
func TestWorst_Relay(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	const batch = 10
	var records []any
	for n := range batch {
		body := fmt.Sprintf(`{"user":"%d","event":"change","at":%q}`, pileID+n, time.Now().UTC().Format(time.RFC3339))
		sent := strconv.FormatInt(time.Now().UnixMilli(), 10)
		records = append(records, map[string]any{
			"messageId": uuid.NewString(), "receiptHandle": uuid.NewString(), "body": body, "eventSource": "aws:sqs",
			"eventSourceARN": awslocal.QueueARN("users.fifo"), "awsRegion": awslocal.Region,
			"attributes": map[string]string{
				"ApproximateReceiveCount": "1", "SentTimestamp": sent, "SequenceNumber": strconv.Itoa(n), "SenderId": "AIDAEXAMPLE",
				"MessageGroupId": strconv.Itoa(pileID + n), "MessageDeduplicationId": uuid.NewString(), "ApproximateFirstReceiveTimestamp": sent,
			},
		})
	}
	payload, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, localstack.Relay)
	b.single("relay, single records at their worst", string(payload), func() {
		b.renew(localstack.Reconcile)
		heavy := *b.served
		*b.served = pile{burden: burden{tail: func(int) string { return "}" }}, records: batch, cap: pageCap}
		if _, result := b.weigh(`{"action":"reconcile"}`); result.Error != "" {
			t.Fatalf("%s", result.Payload)
		}
		*b.served = heavy
		b.play(localstack.Relay)
	})
}

// TestWorst_TokenRefresh gives every call of a tick an answer at its cap.
func TestWorst_TokenRefresh(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	b := newBench(t, localstack.TokenRefresh)
	b.single("tokenrefresh, answers at their worst", `{"source":"aws.scheduler"}`, func() { b.renew(localstack.TokenRefresh) })
}

// single weighs an invocation that asks for single objects, under each burden.
func (b *bench) single(name, payload string, before func()) {
	b.Helper()
	var most heaviest
	all := burdens(1)
	for _, j := range prove.Choose(len(all), 7) {
		heavy := all[j]
		*b.served = heavy.pile(1, 1, objectCap, objectCap)
		before()
		mb, result := b.weigh(payload)
		most.add(mb, heavy.name)
		b.Logf("%-60s %6.1f MB  %s %.120s %.600s", heavy.name, mb, result.Error, result.Payload, b.output.String())
	}
	most.figure(b, name)
}
