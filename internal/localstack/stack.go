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
	"slices"
	"strconv"
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
	Private  bool         // other users of this machine are not served; see hostguard.Own
	Redirect string       // redirect URL of アシスト店長's application; empty: the sandbox's own
	Mapping  string       // mapping file for the relay; empty: config/mapping.yaml
	Log      *slog.Logger // of the local AWS; nil: nobody

	AWS   awslocal.Options                                     // what is not said by the others
	Ports map[string]int                                       // where each of Services is to listen, if the port is free; absent: a free one
	Watch func(service string, next http.Handler) http.Handler // stands before a sandbox or the webhooks; nil: nothing does
	Real  map[string]providers.Connection                      // of providers that have no sandbox here
	Vars  func(function string) map[string]string              // further variables of a function, which count first; nil: none
}

// Webhooks is the service that takes webhooks.
const Webhooks = "webhooks"

// Services are what a stack listens for: the local AWS, the sandboxes and the webhooks.
func Services() []string {
	return slices.Concat([]string{"aws"}, providers.Names(), []string{Webhooks})
}

// A Stack is running. Its sandboxes may be changed at any time.
type Stack struct {
	AWS       *awslocal.AWS
	Sandboxes map[string]Sandbox
	URLs      map[string]string // of each sandbox, and "aws", as the functions reach them

	Ports   map[string]int // of each service
	Webhook string         // where webhooks go, without the secret

	options     Options
	public      string
	queue, dead string // URLs
}

// Start starts a stack that ends with ctx.
func Start(ctx context.Context, o Options) (*Stack, error) {
	o.Host = cmp.Or(o.Host, "127.0.0.1")
	o.Mapping = cmp.Or(o.Mapping, filepath.Join("config", "mapping.yaml"))
	s := &Stack{Sandboxes: map[string]Sandbox{}, URLs: map[string]string{}, Ports: map[string]int{}, options: o, public: cmp.Or(o.Public, o.Host)}
	listeners, err := s.listen(ctx)
	if err != nil {
		return nil, err
	}
	aws := o.AWS
	aws.Dir, aws.Hosts, aws.Log = o.Dir, s.names(), o.Log
	if s.AWS, err = awslocal.Serve(ctx, listeners["aws"], aws); err != nil {
		return nil, err
	}
	for _, name := range providers.Names() {
		listener := listeners[name]
		if listener == nil {
			continue
		}
		sandbox := NewSandbox(name, o.Sandbox)
		if err := sandbox.Err(); err != nil {
			return nil, fmt.Errorf("opening the sandbox of %s: %w", name, err)
		}
		AllowLocalHooks(sandbox)
		SetRedirect(sandbox, o.Redirect)
		s.serve(ctx, name, listener, WithRecords(sandbox))
		s.Sandboxes[name] = sandbox
	}
	s.serve(ctx, Webhooks, listeners[Webhooks], s.AWS.Gateway(Ingest, "POST /webhook/{secret}"))
	s.Webhook = s.URLs[Webhooks] + "/webhook/"
	delete(s.URLs, Webhooks)
	s.AWS.AddSource(RelaySource())
	err = errors.Join(s.storeSecrets(ctx), s.createQueues(), s.addSchedules())
	s.describe()
	return s, err
}

// names are those by which the stack's services are called.
func (s *Stack) names() []string {
	return append([]string{s.options.Host, s.options.Public}, s.options.Hosts...)
}

// listen listens for every service. A port that somebody else has is replaced.
func (s *Stack) listen(ctx context.Context) (map[string]net.Listener, error) {
	listeners := map[string]net.Listener{}
	var config net.ListenConfig
	for _, name := range Services() {
		if _, isReal := s.options.Real[name]; isReal {
			continue
		}
		wanted := s.options.Ports[name]
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(s.options.Host, strconv.Itoa(wanted)))
		if err != nil && wanted != 0 {
			listener, err = config.Listen(ctx, "tcp", net.JoinHostPort(s.options.Host, "0"))
		}
		if err != nil {
			for _, other := range listeners {
				err = errors.Join(err, other.Close())
			}
			return nil, fmt.Errorf("listening for %s: %w", name, err)
		}
		if s.options.Private {
			listener = hostguard.Own(listener)
		}
		listeners[name] = listener
		s.URLs[name] = s.reach("http://" + listener.Addr().String())
		s.Ports[name] = listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on TCP
	}
	return listeners, nil
}

func (s *Stack) serve(ctx context.Context, name string, listener net.Listener, h http.Handler) {
	if s.options.Watch != nil {
		h = s.options.Watch(name, h)
	}
	serve(ctx, listener, h, s.names()...)
}

// describe lets CloudFormation tell of the stack, by the names of template.yaml.
func (s *Stack) describe() {
	resources := make([]awslocal.StackResource, 0, 5+len(Functions())+len(schedules))
	resources = append(resources,
		awslocal.StackResource{Type: "AWS::S3::Bucket", LogicalID: "Bucket", PhysicalID: awslocal.Bucket},
		awslocal.StackResource{Type: "AWS::ApiGatewayV2::Api", LogicalID: "WebhookApi", PhysicalID: awslocal.GatewayID},
		awslocal.StackResource{Type: "AWS::SQS::Queue", LogicalID: "UserQueue", PhysicalID: s.queue},
		awslocal.StackResource{Type: "AWS::SQS::Queue", LogicalID: "DeadLetterQueue", PhysicalID: s.dead},
		awslocal.StackResource{Type: "AWS::Lambda::EventSourceMapping", LogicalID: "WebhookRelayRelayFunctionUsers", PhysicalID: RelaySource().ID},
	)
	for _, schedule := range schedules {
		resources = append(resources, awslocal.StackResource{Type: "AWS::Scheduler::Schedule", LogicalID: schedule.name, PhysicalID: scheduleName(schedule.name)})
	}
	for _, name := range Functions() {
		resources = append(resources,
			awslocal.StackResource{Type: "AWS::Lambda::Function", LogicalID: Resource(name), PhysicalID: name},
			awslocal.StackResource{Type: "AWS::Logs::LogGroup", LogicalID: LogResource(name), PhysicalID: "/hikyaku/" + Name + "/" + name})
	}
	watched, topic := s.watched()
	s.AWS.Describe(awslocal.Stack{Name: Name, Parameters: s.parameters(), Resources: append(resources, watched...), Outputs: map[string]string{
		"WebhookUrl": s.Webhook, "Bucket": awslocal.Bucket, "UserQueueUrl": s.queue, "DeadLetterQueueUrl": s.dead, "TokenRefreshFunctionName": TokenRefresh,
		"PeopleTopicArn": topic,
	}})
}

// changedUser is the trigger of a new, changed or deleted user.
const changedUser = "M"

// RegisterWebhook points the booking account's "changed user" webhook at the
// stack, as a person does on its page, unless it does so already.
func (s *Stack) RegisterWebhook() {
	page := s.SuperSaaS()
	for _, hook := range page.Hooks() {
		if hook.Trigger == changedUser && hook.Target == s.WebhookAddress() {
			return
		}
	}
	page.AddHook(supersaastest.Hook{Trigger: changedUser, Target: s.WebhookAddress()})
}

// PostWaiting lets the sandboxes post the webhooks and callbacks that a killed process has
// left unanswered. Call it once somebody can take them.
func (s *Stack) PostWaiting() {
	for _, name := range providers.Names() {
		if left, ok := s.Sandboxes[name].(interface{ PostWaiting() }); ok {
			left.PostWaiting()
		}
	}
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

// Serve serves h at addr until ctx ends, to this user's callers that use the loopback,
// the address itself or one of names.
func Serve(ctx context.Context, addr string, h http.Handler, names ...string) (address string, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	serve(ctx, hostguard.Own(listener), h, names...)
	return "http://" + listener.Addr().String(), nil
}

func serve(ctx context.Context, listener net.Listener, h http.Handler, names ...string) {
	server := &http.Server{Handler: hostguard.New(h, names...), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
}

// storeSecrets writes what an operator would: the connections, the webhook secret and
// the hashing key. What is there already stays, but a connection that leads elsewhere.
func (s *Stack) storeSecrets(ctx context.Context) error {
	var faults []error
	create := func(name string, document []byte) {
		err := s.AWS.Secrets.Create(ctx, name, uuid.NewString(), document)
		if !errors.Is(err, secretstore.ErrExists) {
			faults = append(faults, err)
		}
	}
	for _, name := range providers.Names() {
		faults = append(faults, s.connect(ctx, name))
	}
	webhook, err := json.Marshal(map[string]string{"current": hookSecret})
	faults = append(faults, err)
	create(secretstore.Name(Prefix, providers.SuperSaaS, "webhook"), webhook)
	create(Prefix+"/export/hmac", []byte(`{"key":"`+hashKey+`"}`))
	return errors.Join(faults...)
}

// connect stores a provider's connection. One that a person has changed stays as long as
// it leads to the same address.
func (s *Stack) connect(ctx context.Context, provider string) error {
	connection, isReal := s.options.Real[provider]
	if !isReal {
		connection = s.Sandboxes[provider].Connection(s.URLs[provider])
	}
	name := secretstore.Name(Prefix, provider, secretstore.ConnectionPart)
	stored, err := s.AWS.Secrets.Get(ctx, name, secretstore.Current)
	if errors.Is(err, secretstore.ErrNotFound) {
		return s.AWS.Secrets.Create(ctx, name, uuid.NewString(), connection.Document())
	}
	if err != nil {
		return err
	}
	if known, err := providers.ParseConnection(stored.Data); err == nil && known.BaseURL == connection.BaseURL {
		return nil
	}
	return s.AWS.Secrets.Put(ctx, name, uuid.NewString(), connection.Document(), secretstore.Current)
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
	if s.options.Vars != nil {
		maps.Copy(vars, s.options.Vars(function))
	}
	return vars
}
