// Package localstack is a whole set-up on one machine: a local AWS, a sandbox
// of each provider, the connections between them, and the environment that
// each function needs there. The demo, 'hikyaku sandbox --connected' and the
// tests of the real binaries start from it; nothing of it is for production.
package localstack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/hostguard"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// Names of what a stack holds in its local AWS.
const (
	Name       = "hikyaku-local"
	Prefix     = "hikyaku"
	Queue      = "hikyaku-users.fifo"
	DeadLetter = "hikyaku-dead.fifo"
	Visibility = 60 * time.Second
)

// hookSecret and hashKey are inventions that open nothing but a sandbox.
const (
	hookSecret = "local-webhook-secret-000000000000" //nolint:gosec // opens nothing but a sandbox
	hashKey    = "local-hashing-key-0000000000000000"
)

// Options configure a Stack. The zero value is ready for use.
type Options struct {
	Sandbox  sandbox.Options
	Dir      string       // keeps the objects as files; empty: in memory
	Host     string       // address to listen on; empty: 127.0.0.1
	Public   string       // host name by which the functions reach Host; empty: Host itself
	Hosts    []string     // further names by which clients call; see hostguard
	Redirect string       // redirect URL of アシスト店長's application; empty: the sandbox's own
	Mapping  string       // mapping file for the relay; empty: config/mapping.yaml
	Log      *slog.Logger // of the local AWS; nil: nobody
}

// A Stack is running. Its sandboxes may be changed at any time.
type Stack struct {
	AWS       *awslocal.AWS
	Sandboxes map[string]Sandbox
	URLs      map[string]string // of each sandbox, and "aws", as the functions reach them

	Webhook string // where webhooks go, without the secret

	options     Options
	public      string
	queue, dead string // URLs
}

// Start starts a stack that ends with ctx.
func Start(ctx context.Context, o Options) (*Stack, error) {
	o.Host = cmp.Or(o.Host, "127.0.0.1")
	o.Mapping = cmp.Or(o.Mapping, filepath.Join("config", "mapping.yaml"))
	names := append([]string{o.Host, o.Public}, o.Hosts...)
	local, err := awslocal.Start(ctx, awslocal.Options{Dir: o.Dir, Addr: net.JoinHostPort(o.Host, "0"), Hosts: names, Log: o.Log})
	if err != nil {
		return nil, err
	}
	s := &Stack{AWS: local, Sandboxes: map[string]Sandbox{}, URLs: map[string]string{}, options: o, public: cmp.Or(o.Public, o.Host)}
	s.URLs["aws"] = s.reach(local.URL)
	for _, name := range providers.Names() {
		sandbox := NewSandbox(name, o.Sandbox)
		AllowLocalHooks(sandbox)
		SetRedirect(sandbox, o.Redirect)
		address, err := Serve(ctx, net.JoinHostPort(o.Host, "0"), WithRecords(sandbox), names...)
		if err != nil {
			return nil, err
		}
		s.Sandboxes[name], s.URLs[name] = sandbox, s.reach(address)
	}
	gateway, err := Serve(ctx, net.JoinHostPort(o.Host, "0"), local.Gateway(Ingest, "POST /webhook/{secret}"), names...)
	if err != nil {
		return nil, err
	}
	s.Webhook = s.reach(gateway) + "/webhook/"
	local.AddSource(RelaySource())
	err = errors.Join(s.storeSecrets(ctx), s.createQueues(), s.addSchedules())
	s.describe()
	return s, err
}

// describe lets CloudFormation tell of the stack, by the names of template.yaml.
func (s *Stack) describe() {
	resources := make([]awslocal.StackResource, 0, 4+len(Functions())+len(schedules))
	resources = append(resources,
		awslocal.StackResource{Type: "AWS::S3::Bucket", LogicalID: "Bucket", PhysicalID: awslocal.Bucket},
		awslocal.StackResource{Type: "AWS::SQS::Queue", LogicalID: "UserQueue", PhysicalID: s.queue},
		awslocal.StackResource{Type: "AWS::SQS::Queue", LogicalID: "DeadLetterQueue", PhysicalID: s.dead},
		awslocal.StackResource{Type: "AWS::Lambda::EventSourceMapping", LogicalID: "WebhookRelayRelayFunctionUsers", PhysicalID: RelaySource().ID},
	)
	for _, schedule := range schedules {
		resources = append(resources, awslocal.StackResource{Type: "AWS::Scheduler::Schedule", LogicalID: schedule.name, PhysicalID: scheduleName(schedule.name)})
	}
	for _, name := range Functions() {
		resources = append(resources, awslocal.StackResource{Type: "AWS::Lambda::Function", LogicalID: Resource(name), PhysicalID: name})
	}
	watched, topic := s.watched()
	s.AWS.Describe(awslocal.Stack{Name: Name, Parameters: s.parameters(), Resources: append(resources, watched...), Outputs: map[string]string{
		"WebhookUrl": s.Webhook, "Bucket": awslocal.Bucket, "UserQueueUrl": s.queue, "DeadLetterQueueUrl": s.dead, "TokenRefreshFunctionName": TokenRefresh,
		"PeopleTopicArn": topic,
	}})
}

// RegisterWebhook points the booking account's "changed user" webhook at the
// stack, as a person does on its page.
func (s *Stack) RegisterWebhook() {
	s.SuperSaaS().AddHook(supersaastest.Hook{Trigger: "M", Target: s.WebhookAddress()})
}

// WebhookAddress is where webhooks go, with the secret.
func (s *Stack) WebhookAddress() string { return s.Webhook + hookSecret }

// reach is an address as the functions see it.
func (s *Stack) reach(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.Host = net.JoinHostPort(s.public, u.Port())
	return u.String()
}

// Serve serves h at addr until ctx ends, to callers that use the loopback, the
// address itself or one of names.
func Serve(ctx context.Context, addr string, h http.Handler, names ...string) (address string, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: hostguard.New(h, names...), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return "http://" + listener.Addr().String(), nil
}

// storeSecrets writes what an operator would: the connections, the webhook
// secret and the hashing key.
func (s *Stack) storeSecrets(ctx context.Context) error {
	var faults []error
	create := func(name string, document []byte) {
		faults = append(faults, s.AWS.Secrets.Create(ctx, name, uuid.NewString(), document))
	}
	for name, sandbox := range s.Sandboxes {
		create(secretstore.Name(Prefix, name, secretstore.ConnectionPart), sandbox.Connection(s.URLs[name]).Document())
	}
	webhook, err := json.Marshal(map[string]string{"current": hookSecret})
	faults = append(faults, err)
	create(secretstore.Name(Prefix, providers.SuperSaaS, "webhook"), webhook)
	create(Prefix+"/export/hmac", []byte(`{"key":"`+hashKey+`"}`))
	return errors.Join(faults...)
}

func (s *Stack) createQueues() error {
	dead, err := s.AWS.CreateQueue(DeadLetter, nil)
	if err != nil {
		return err
	}
	redrive := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"200"}`, awslocal.QueueARN(DeadLetter))
	queue, err := s.AWS.CreateQueue(Queue, map[string]string{
		"VisibilityTimeout": fmt.Sprint(int(Visibility.Seconds())), "RedrivePolicy": redrive,
	})
	s.queue, s.dead = s.reach(queue), s.reach(dead)
	return err
}

// Yappli returns the Yappli sandbox with its own methods.
func (s *Stack) Yappli() *yapplitest.Server {
	return s.Sandboxes[providers.Yappli].(*yapplitest.Server) //nolint:forcetypeassert // NewSandbox made it
}

// SuperSaaS returns the SuperSaaS sandbox with its own methods.
func (s *Stack) SuperSaaS() *supersaastest.Server {
	return s.Sandboxes[providers.SuperSaaS].(*supersaastest.Server) //nolint:forcetypeassert // NewSandbox made it
}

// common are the variables that every function has here.
func (s *Stack) common() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": s.URLs["aws"], "AWS_REGION": awslocal.Region,
		"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"HIKYAKU_PREFIX": Prefix, "HIKYAKU_BUCKET": awslocal.Bucket, "HIKYAKU_ALLOW_HOSTS": s.public,
		"HIKYAKU_TOKENREFRESH_FUNCTION": TokenRefresh + ":" + Readers,
	}
}

// Vars returns the environment of a function, by its name.
func (s *Stack) Vars(function string) map[string]string {
	vars := s.common()
	maps.Copy(vars, s.own(function))
	return vars
}
