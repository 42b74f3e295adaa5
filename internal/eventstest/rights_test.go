package eventstest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A witness sees what the functions ask AWS for.
type witness struct {
	mu    sync.Mutex
	calls map[string][]call // by function
	keys  map[string]bool   // of the bucket, that were written
	odd   []string          // requests that callsOf does not know
}

// watching is a function's way to AWS.
type watching struct {
	*witness

	function string
}

// RoundTrip notes the request and sends it.
func (w watching) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	w.note(r, callsOf(r, body))
	return http.DefaultTransport.RoundTrip(r)
}

func (w watching) note(r *http.Request, calls []call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(calls) == 0 {
		w.odd = append(w.odd, r.Method+" "+r.URL.String()+" "+r.Header.Get("X-Amz-Target"))
	}
	w.calls[w.function] = append(w.calls[w.function], calls...)
	for _, c := range calls {
		if key, is := strings.CutPrefix(c.resource, bucketARN+"/"); is && c.action == "s3:PutObject" {
			w.keys[key] = true
		}
	}
}

// callsOf are the rights that a request needs.
func callsOf(r *http.Request, body []byte) []call {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return targeted(target, body)
	}
	if name, is := strings.CutPrefix(r.URL.Path, "/2015-03-31/functions/"); is && strings.HasSuffix(name, "/invocations") {
		return []call{allow("lambda:InvokeFunction", lambdaARN(strings.TrimSuffix(name, "/invocations")))}
	}
	return stored(r)
}

// allow is a call without condition keys.
func allow(action, resource string) call { return call{action, resource, map[string]string{}} }

// targeted are those of a service that names its operation in a header.
func targeted(target string, body []byte) []call {
	var in struct {
		SecretID string `json:"SecretId"`
		Name     string
		QueueURL string `json:"QueueUrl"`
		Entries  []struct{ Source string }
	}
	if json.Unmarshal(body, &in) != nil {
		return nil
	}
	service, operation, _ := strings.Cut(target, ".")
	switch service {
	case "secretsmanager":
		// The service adds six characters to a name.
		return []call{allow("secretsmanager:"+operation, "arn:aws:secretsmanager:"+awslocal.Region+":"+awslocal.Account+":secret:"+in.SecretID+in.Name+"-AbCdEf")}
	case "AmazonSQS":
		return []call{allow("sqs:"+strings.TrimSuffix(operation, "Batch"), awslocal.QueueARN(in.QueueURL[strings.LastIndexByte(in.QueueURL, '/')+1:]))}
	case "AWSEvents":
		var all []call
		for _, e := range in.Entries {
			all = append(all, call{"events:PutEvents", "arn:aws:events:" + awslocal.Region + ":" + awslocal.Account + ":event-bus/default", map[string]string{"events:source": e.Source}})
		}
		return all
	}
	return nil
}

// stored are those of a request to S3.
func stored(r *http.Request) []call {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	if bucket != awslocal.Bucket {
		return nil
	}
	if key == "" {
		if r.Method != http.MethodGet || !query.Has("list-type") {
			return nil
		}
		return []call{{"s3:ListBucket", bucketARN, map[string]string{"s3:prefix": query.Get("prefix")}}}
	}
	tagging := map[bool]string{true: "Tagging"}[query.Has("tagging")]
	verb := map[string]string{http.MethodGet: "Get", http.MethodHead: "Get", http.MethodPut: "Put", http.MethodDelete: "Delete"}[r.Method]
	for name := range query {
		if !slices.Contains([]string{"tagging", "x-id"}, name) {
			return nil
		}
	}
	if verb == "" {
		return nil
	}
	c := call{"s3:" + verb + "Object" + tagging, bucketARN + "/" + key, map[string]string{}}
	for _, header := range []string{"If-None-Match", "If-Match"} {
		if value := r.Header.Get(header); value != "" && verb == "Put" {
			c.context["s3:"+strings.ToLower(header)] = value
		}
	}
	calls := []call{c}
	if source := r.Header.Get("X-Amz-Copy-Source"); source != "" {
		from, _ := url.PathUnescape(source)
		calls = append(calls, allow("s3:GetObject", "arn:aws:s3:::"+strings.TrimPrefix(from, "/")))
	}
	if r.Header.Get("X-Amz-Tagging") != "" {
		calls = append(calls, allow("s3:PutObjectTagging", c.resource))
	}
	return calls
}

// spoiling is a function's way to the providers, on which the id of a member becomes
// what is no text, so that an export rejects the record.
type spoiling struct{ id string }

// RoundTrip alters Yappli's lists.
func (s spoiling) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet || r.URL.Path != "/api/ext/users" {
		return answer, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	body = bytes.ReplaceAll(body, []byte(`"`+s.id+`"`), []byte("\"\xff\""))
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer.Header.Del("Content-Length")
	return answer, err
}

// wholeRun does with every function what it is for, doubts and rejects among it.
func (w *world) wholeRun() *witness {
	w.Helper()
	seen := &witness{calls: map[string][]call{}, keys: map[string]bool{}}
	for _, name := range localstack.Functions() {
		vars := w.environment(name)
		vars["HIKYAKU_TOKENREFRESH_FUNCTION"] = localstack.TokenRefresh + ":" + localstack.Readers
		w.must(w.stack.AWS.Register(awslocal.Function{Name: name, Aliases: localstack.Aliases(name), Timeout: localstack.Timeout(name), Compose: func(logs io.Writer) (lambda.Handler, error) {
			e := lambdafn.Environ{Vars: vars, Out: logs, AWS: watching{seen, name}}
			if name == localstack.Export {
				e.HTTP = spoiling{w.stack.Yappli().Members()[3].Values["unique_id"]}
			}
			return composed(w.Context(), name, e)
		}}))
	}
	invoke := func(function, payload string) {
		w.Helper()
		result, err := w.stack.AWS.Invoke(w.Context(), function, []byte(payload))
		if err != nil || result.Error != "" {
			w.Fatalf("%s: %s, %v", function, result.Payload, err)
		}
	}
	w.prepare(localstack.TokenRefresh, "schedule.json")
	invoke(localstack.TokenRefresh+":"+localstack.Watch, `{"action":"watch_pauses"}`)
	w.prepare(localstack.Ingest, "user-change.json")
	w.prepare(localstack.Reconcile, "step-functions.json")
	for _, file := range []string{"batch.json", "user-change.json", "user-deleted.json", "error-poison.json"} {
		w.invoke(localstack.Relay, file)
	}
	w.prepare(localstack.Reconcile, "schedule.json")
	w.prepare(localstack.Export, "schedule.json")
	members := w.stack.Yappli()
	for n := range 100 {
		members.Put(yapplitest.Member{Values: map[string]string{"unique_id": fmt.Sprint("more-", n)}})
	}
	invoke(localstack.Export, `{"action":"extract","dataset":"yappli/users","scheduled_time":"2026-11-22T12:30:00Z"}`)
	for _, m := range members.Members()[5:] {
		members.Delete(m.ID)
	}
	invoke(localstack.Export, `{"action":"extract","dataset":"yappli/users","scheduled_time":"2026-11-23T00:30:00Z"}`)
	if len(seen.odd) > 0 {
		w.Fatalf("requests that this test does not know: %q", seen.odd)
	}
	return seen
}

// operations are those of which a table says who may do them with a key.
var operations = []struct {
	name, action string
	context      map[string]string
}{
	{"get", "s3:GetObject", nil},
	{"create", "s3:PutObject", map[string]string{"s3:if-none-match": "*"}},
	{"swap", "s3:PutObject", map[string]string{"s3:if-match": "an-etag"}},
	{"write over", "s3:PutObject", nil},
	{"delete", "s3:DeleteObject", nil},
}

// may are the operations on a key, or the listing below it, that a principal is allowed.
func may(p principal, bucket []statement, key string) (names []string) {
	for _, o := range operations {
		c := allow(o.action, bucketARN+"/"+key)
		for name, value := range o.context {
			c.context[name] = value
		}
		if p.may(bucket, c) {
			names = append(names, o.name)
		}
	}
	if p.may(bucket, call{"s3:ListBucket", bucketARN, map[string]string{"s3:prefix": key[:strings.LastIndexByte(key, '/')+1]}}) {
		names = append(names, "list")
	}
	return names
}

// everything is a statement that allows all.
var everything = []statement{{actions: []string{"*"}, resources: []string{"*"}}}

// others are keys that this run does not write: a table of a reconcile that takes several
// invocations, and, of people's commands, a decision, a mapping and a pause.
var others = []string{
	"/state/relay/0123456789abcdef/reconcile/0123456789abcdef/users", "/state/relay/0123456789abcdef/decisions/7", "/config/mapping/0123456789abcdef0123456789abcdef.yaml", "/config/mapping/current", "/state/pause",
}

var differs = regexp.MustCompile(`[0-9a-f]{16,}|[0-9a-f]{8}(-[0-9a-f]{4,12}){4}|\d{8}T\d{6}Z|\d{4}-\d{2}-\d{2}|\b\d+\b`)

var dataset = regexp.MustCompile(`(exports|athena|rejects|known|state/export)/[a-z]+/[a-z]+/`)
var provider = regexp.MustCompile(`(state/tokens)/[a-z]+`)

// Every call of a whole run is allowed to the role that makes it, by its policies and
// the bucket's. Of every key that was written testdata/rights.txt says what each role,
// and each person with one of policies/, may do with it: nobody writes over what a run
// has stored.
func TestRights_OfEveryRoleToEveryKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	seen := w.wholeRun()
	template := prove.ReadTemplate(t, root)
	bucket, all := bucketPolicy(t, template), roles(t, template)
	for function, calls := range seen.calls {
		i := slices.IndexFunc(all, func(p principal) bool { return p.name == localstack.Resource(function)+"Role" })
		for _, c := range calls {
			if !all[i].may(bucket, c) {
				t.Errorf("%s is denied %s of %s (%v)", function, c.action, c.resource, c.context)
			}
		}
		if len(calls) == 0 {
			t.Errorf("%s asked for nothing", function)
		}
	}
	for _, key := range others {
		seen.keys[localstack.Prefix+key] = true
	}
	all = append(all, principal{"somebody with every right", everything}, principal{"erasure", everything})
	table := map[string]bool{}
	var kinds []string
	for key := range seen.keys {
		kind := provider.ReplaceAllString(dataset.ReplaceAllString(differs.ReplaceAllString(key, "N"), "$1/PROVIDER/DATASET/"), "$1/PROVIDER")
		kinds = append(kinds, kind)
		line := kind + "\n"
		for _, p := range all {
			allowed := may(p, bucket, key)
			if len(allowed) > 0 {
				line += fmt.Sprintf("    %s: %s\n", p.name, strings.Join(allowed, ", "))
			}
			stored := strings.Contains(key, "/exports/") && (strings.Contains(key, "/part-") || strings.HasSuffix(key, "/_manifest.json") || strings.HasSuffix(key, "/_doubt.json"))
			if over := slices.Contains(allowed, "swap") || slices.Contains(allowed, "write over"); stored && over != (p.name == "erasure") {
				t.Errorf("%s may write over %s: %t", p.name, key, over)
			}
		}
		table[line] = true
	}
	for _, part := range []string{"/part-", "/_manifest.json", "/_doubt.json", "/latest.json", "/symlink.txt", "/rejects/", "/known/", "/state/tokens/", "/state/relay/", "/state/export/"} {
		if !slices.ContainsFunc(kinds, func(kind string) bool { return strings.Contains(kind, part) }) {
			t.Errorf("the run wrote no key with %s", part)
		}
	}
	compare(t, filepath.Join("testdata", "rights.txt"), table)
}

// compare is with a file's entries, or writes it.
func compare(t *testing.T, path string, got map[string]bool) {
	t.Helper()
	lines := make([]string, 0, len(got))
	for line := range got {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	text := strings.Join(lines, "")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s says otherwise; got\n%s", path, text)
	}
}
