package eventstest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/eventstest"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// endpointVariable names an AWS beside the local one.
const endpointVariable = "HIKYAKU_TEST_AWS_ENDPOINT"

const root = "../.."

// buildFlags are the Makefile's, which TestBuildFlags asserts.
const buildFlags = "-trimpath -buildvcs=false -tags lambda.norpc -ldflags '-s -w'"

var binaryDir string

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // the tests make much garbage and keep little
	dir, err := os.MkdirTemp("", "hikyaku-binaries-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaryDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// binaries builds the three functions once, as the Makefile does.
var binaries = sync.OnceValue(func() error {
	for _, name := range []string{"tokenrefresh", "webhookrelay", "export"} {
		c := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", filepath.Join(binaryDir, name, "bootstrap"), "./functions/"+name)
		c.Dir, c.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
})

func binary(t *testing.T, function string) string {
	t.Helper()
	if err := binaries(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(binaryDir, localstack.Command(function), "bootstrap")
}

// composed is a function as its binary composes it, in this process.
func composed(ctx context.Context, function string, e lambdafn.Environ) (lambda.Handler, error) {
	switch localstack.Command(function) {
	case "tokenrefresh":
		return refreshfn.New(ctx, e)
	case "webhookrelay":
		return relayfn.New(ctx, e)
	}
	return exportfn.New(ctx, e)
}

// asBinaries says whether the functions are the binaries: 'go test' spares their
// processes, of which each event needs several.
func asBinaries() bool { return prove.Sample(1, 0) == 1 || os.Getenv(endpointVariable) != "" }

// A world is a stack whose functions are the real binaries, or composed as these
// are. Its storage is an AWS known by its endpoint alone: the stack's own local
// one, or another.
type world struct {
	*testing.T

	stack   *localstack.Stack
	vars    map[string]string // in place of the stack's own
	secrets *secretsmanager.Client
	objects *s3.Client
	queues  *sqs.Client
	bucket  string
	users   string // URL of the queue
	dead    string
	logs    map[string]*prove.Log // by function
}

// records is small, and still two pages for export.
const records = 50

// clock is the sandboxes': it starts at the events' time, whenever the
// test runs, so that records lie where the events look for them.
func clock() func() time.Time {
	began := time.Now()
	return func() time.Time { return time.Date(2026, 11, 22, 0, 30, 0, 0, time.UTC).Add(time.Since(began)) }
}

// newWorld starts a stack. On another endpoint bucket and queues are new;
// secrets have the names that the events use, so old ones are removed.
func newWorld(t *testing.T, endpoint string) *world {
	t.Helper()
	stack, err := localstack.Start(t.Context(), localstack.Options{
		Sandbox: sandbox.Options{Records: records, Rate: 10_000, Now: clock()}, Mapping: mappingFile(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, stack: stack, vars: map[string]string{}, bucket: awslocal.Bucket, logs: map[string]*prove.Log{}}
	address := stack.URLs["aws"]
	if endpoint != "" {
		address = endpoint
	}
	w.secrets, w.queues = secretsmanager.NewFromConfig(config(address)), sqs.NewFromConfig(config(address))
	w.objects = s3.NewFromConfig(config(address), func(o *s3.Options) { o.UsePathStyle = true })
	w.users, w.dead = stack.Vars(localstack.Relay)["HIKYAKU_QUEUE_URL"], stack.Vars(localstack.Relay)["HIKYAKU_DEAD_LETTER_QUEUE_URL"]
	if endpoint != "" {
		w.move(endpoint)
	}
	for _, name := range localstack.Functions() {
		w.logs[name] = &prove.Log{}
		f := awslocal.Function{Name: name, Aliases: localstack.Aliases(name), Output: w.logs[name], Timeout: 30 * time.Second}
		if vars := w.environment(name); asBinaries() {
			f.Binary = binary(t, name)
			for variable, value := range vars {
				f.Env = append(f.Env, variable+"="+value)
			}
		} else {
			f.Compose = func(logs io.Writer) (lambda.Handler, error) {
				return composed(t.Context(), name, lambdafn.Environ{Vars: vars, Out: logs})
			}
		}
		w.must(stack.AWS.Register(f))
	}
	return w
}

func config(address string) aws.Config {
	return aws.Config{Region: awslocal.Region, BaseEndpoint: &address, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}
}

func mappingFile(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "config", "mapping.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// environment is a function's.
func (w *world) environment(function string) map[string]string {
	vars := w.stack.Vars(function)
	for name, value := range w.vars {
		if _, has := vars[name]; has {
			vars[name] = value
		}
	}
	vars["HIKYAKU_LOG_LEVEL"] = "DEBUG" // all that there is to say
	return vars
}

// move takes secrets, bucket and queues to another AWS.
func (w *world) move(endpoint string) {
	w.Helper()
	ctx := w.Context()
	w.bucket = "events-" + uuid.NewString()
	_, err := w.objects.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: &w.bucket, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(awslocal.Region)},
	})
	w.must(err)
	create := func(name string) string {
		out, err := w.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"FifoQueue": "true"}})
		w.must(err)
		return *out.QueueUrl
	}
	w.users, w.dead = create("users-"+w.bucket+".fifo"), create("dead-"+w.bucket+".fifo")
	w.vars = map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "HIKYAKU_BUCKET": w.bucket, "HIKYAKU_QUEUE_URL": w.users, "HIKYAKU_DEAD_LETTER_QUEUE_URL": w.dead,
	}
	for _, s := range w.listSecrets(w.secrets) {
		_, err := w.secrets.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: s.Name, ForceDeleteWithoutRecovery: aws.Bool(true)})
		w.must(err)
	}
	local := secretsmanager.NewFromConfig(config(w.stack.URLs["aws"]))
	for _, s := range w.listSecrets(local) {
		value, err := local.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: s.Name})
		w.must(err)
		_, err = w.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: s.Name, SecretString: value.SecretString})
		w.must(err)
	}
}

func (w *world) listSecrets(client *secretsmanager.Client) []smtypes.SecretListEntry {
	w.Helper()
	var all []smtypes.SecretListEntry
	pages := secretsmanager.NewListSecretsPaginator(client, &secretsmanager.ListSecretsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.Context())
		w.must(err)
		for _, s := range page.SecretList {
			if strings.HasPrefix(*s.Name, localstack.Prefix+"/") {
				all = append(all, s)
			}
		}
	}
	return all
}

// invoke sends an event file through a function.
func (w *world) invoke(function, file string) awslocal.Result {
	w.Helper()
	name := function
	if function == localstack.TokenRefresh {
		name += ":" + alias(file)
	}
	result, err := w.stack.AWS.Invoke(w.Context(), name, event(w.T, function, file))
	if err != nil {
		w.Fatalf("%s: %v", function, err)
	}
	return result
}

// pending lets a secret show the version of a rotation's step as pending. An AWS that
// begins no rotation without ending it gets the version with a value.
func (w *world) pending(step []byte) {
	w.Helper()
	var in struct {
		Secret  string `json:"SecretId"`
		Version string `json:"ClientRequestToken"`
	}
	w.must(json.Unmarshal(step, &in))
	name := in.Secret
	if _, part, isARN := strings.Cut(name, ":secret:"); isARN {
		name = part[:len(part)-len("-a1b2c3")]
	}
	if w.vars["AWS_ENDPOINT_URL"] == "" {
		_, err := w.stack.AWS.Secrets.Rotate(w.Context(), name, in.Version, localstack.TokenRefresh+":"+localstack.Rotation)
		w.must(err)
		return
	}
	current, err := w.secrets.GetSecretValue(w.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name, VersionStage: aws.String(secretstore.Current)})
	w.must(err)
	token, err := providers.ParseToken([]byte(*current.SecretString))
	w.must(err)
	token.Base = *current.VersionId
	_, err = w.secrets.PutSecretValue(w.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: &name, ClientRequestToken: &in.Version, SecretString: aws.String(string(token.Document())), VersionStages: []string{secretstore.Pending},
	})
	w.must(err)
}

// prepare invokes with an event file and expects success.
func (w *world) prepare(function, file string) {
	w.Helper()
	if result := w.invoke(function, file); result.Error != "" {
		w.Fatalf("preparing with %s/%s: %s\n%s", function, file, result.Payload, w.logs[function])
	}
}

func event(t *testing.T, function, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "events", function, file))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// messages takes everything off a queue and returns what a person would note
// of each: group and body, the time left out.
func (w *world) messages(url string) []string {
	w.Helper()
	var all []string
	for {
		out, err := w.queues.ReceiveMessage(w.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 600,
			MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameMessageGroupId},
		})
		w.must(err)
		if len(out.Messages) == 0 {
			return all
		}
		for _, m := range out.Messages {
			var body map[string]any
			w.must(json.Unmarshal([]byte(*m.Body), &body))
			delete(body, "at") // when it was accepted
			text, err := json.Marshal(body)
			w.must(err)
			all = append(all, m.Attributes["MessageGroupId"]+" "+string(text))
			_, err = w.queues.DeleteMessage(w.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
			w.must(err)
		}
	}
}

// state is what an event can change, by name.
func (w *world) state() map[string]string {
	w.Helper()
	state := map[string]string{}
	ctx := w.Context()
	for _, entry := range w.listSecrets(w.secrets) {
		out, err := w.secrets.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: entry.Name})
		w.must(err)
		for version, stages := range out.VersionIdsToStages {
			for _, stage := range stages {
				state["secret "+*entry.Name+" "+stage] = version
			}
		}
	}
	pages := s3.NewListObjectsV2Paginator(w.objects, &s3.ListObjectsV2Input{Bucket: &w.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		w.must(err)
		for _, o := range page.Contents {
			state["object "+*o.Key] = *o.ETag
		}
	}
	for _, m := range w.stack.Yappli().Members() {
		name := fmt.Sprintf("member %s unique_id=%s enabled=%s", m.ID, m.Values["unique_id"], m.Values["enabled"])
		state[name] = fmt.Sprint(m.Values)
	}
	return state
}

// changes lists what differs, messages taken off the queues among it.
func (w *world) changes(before map[string]string) []string {
	w.Helper()
	after := w.state()
	var all []string
	for name, value := range after {
		if old, had := before[name]; !had {
			all = append(all, "new "+name)
		} else if old != value {
			all = append(all, "changed "+name)
		}
	}
	for name := range before {
		if _, has := after[name]; !has {
			all = append(all, "gone "+name)
		}
	}
	for _, m := range w.messages(w.users) {
		all = append(all, "queued "+m)
	}
	for _, m := range w.messages(w.dead) {
		all = append(all, "given up "+m)
	}
	return counted(all)
}

// counted sorts lines, masks what differs from run to run, and folds lines that
// are then alike.
func counted(lines []string) []string {
	counts := map[string]int{}
	for _, line := range lines {
		counts[eventstest.Normalize([]byte(line))]++
	}
	var all []string
	for line, n := range counts {
		if n > 1 {
			line += fmt.Sprintf(" (%d)", n)
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

// endpoints lists the AWS that the events are run on: "" is the local one.
func endpoints(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"local": ""}
	if other := os.Getenv(endpointVariable); other != "" {
		all["endpoint"] = other
	}
	return all
}

// run starts a binary without the local AWS and returns how it ended.
func run(ctx context.Context, path string, env []string) (code int, stderr string, err error) {
	c := exec.CommandContext(ctx, path)
	c.Env = env
	var text bytes.Buffer
	c.Stderr = &text
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), text.String(), nil
	}
	return 0, text.String(), err
}
