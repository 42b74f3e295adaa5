package cloudwatchtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/cloudwatchtest"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// open is a stack in use: the webhook is registered, both lists were compared, and every
// user has a member.
func (s *shop) open() {
	s.Helper()
	s.cadence = 5 * time.Minute // tokens are well
	s.register()
	s.start()
	s.pass(2 * time.Minute)
	if status := s.reconcile(); status != "done" {
		s.Fatalf("the first reconcile is %q", status)
	}
	s.pass(10 * time.Minute)
}

// register points the account's webhook here.
func (s *shop) register() {
	s.booking().AddHook(supersaastest.Hook{Trigger: "M", Target: "https://api.test/webhook/" + hookSecret})
}

// changes changes a user, of which the account tells.
func (s *shop) changes(text string) {
	s.booking().ChangeUser(s.booking().UserIDs()[0], map[string]any{"full_name": text})
}

// more adds members that others made.
func (s *shop) more(n int) {
	for i := range n {
		s.members().Put(yapplitest.Member{Values: map[string]string{"unique_id": fmt.Sprint("more-", i)}})
	}
}

// queueCall is what a person does to a queue.
func (s *shop) queueCall(operation string, input map[string]string) {
	s.Helper()
	body, err := json.Marshal(input)
	s.must(err)
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.aws.URL, bytes.NewReader(body))
	s.must(err)
	r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	answer, err := s.aws.Client().Do(r)
	s.must(err)
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		s.Fatalf("%s: %s", operation, text)
	}
}

// poison sends a message that no part of the stack did.
func (s *shop) poison() {
	s.queueCall("SendMessage", map[string]string{
		"QueueUrl": s.vars["HIKYAKU_QUEUE_URL"], "MessageBody": "not a message", "MessageGroupId": "1", "MessageDeduplicationId": uuid.NewString(),
	})
}

var webhook = `{"event":"change","id":1}`

var relayDrives = []drive{
	{"a message that is none of the stack's", []string{"DeadLettersAlarm"}, func(s *shop) {
		s.open()
		s.poison()
		s.becomes(cloudwatchtest.Alarm, soon, "DeadLettersAlarm")
		s.stays(2*hour, "DeadLettersAlarm")
		s.queueCall("PurgeQueue", map[string]string{"QueueUrl": s.vars["HIKYAKU_DEAD_LETTER_QUEUE_URL"]})
	}},
	{"nobody looks at a dead letter for ten days", []string{"DeadLetterAgeAlarm", "DeadLettersAlarm"}, func(s *shop) {
		s.quiet, s.cadence = true, hour
		s.start()
		for _, provider := range []string{"yappli", "supersaas"} {
			_, err := s.invoke(localstack.TokenRefresh+":"+localstack.Readers, `{"provider":"`+provider+`"}`)
			s.must(err)
		}
		s.poison()
		s.looks = hour
		s.becomes(cloudwatchtest.Alarm, 11*24*hour, "DeadLetterAgeAlarm")
		s.queueCall("PurgeQueue", map[string]string{"QueueUrl": s.vars["HIKYAKU_DEAD_LETTER_QUEUE_URL"]})
	}},
	{"Yappli is down for more than two hours", []string{"QueueAgeAlarm"}, func(s *shop) {
		s.open()
		s.members().Inject(sandbox.Fault{Kind: sandbox.ServerFail, Times: -1})
		s.changes("山田 一")
		s.becomes(cloudwatchtest.Alarm, 3*hour, "QueueAgeAlarm")
		s.stays(2*hour, "QueueAgeAlarm")
		s.members().SetFaults(sandbox.Faults{})
	}},
	{"SQS takes no messages", []string{"IngestFailuresAlarm"}, func(s *shop) {
		s.open()
		s.aws.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "sqs.SendMessage", Times: -1})
		s.changes("山田 二")
		s.becomes(cloudwatchtest.Alarm, soon, "IngestFailuresAlarm")
		s.aws.ClearFaults()
		s.changes("山田 三")
	}},
	{"webhooks with a wrong address", []string{"WebhookRefusedAlarm"}, func(s *shop) {
		s.open()
		for range 21 {
			s.webhook("elsewhere/"+hookSecret, webhook)
		}
		s.becomes(cloudwatchtest.Alarm, soon, "WebhookRefusedAlarm")
		s.webhook(hookSecret, webhook)
	}},
	{"more webhooks at once than the gateway takes", []string{"WebhookRefusedAlarm"}, func(s *shop) {
		s.open()
		for range 130 {
			s.webhook(hookSecret, webhook)
		}
		s.becomes(cloudwatchtest.Alarm, soon, "WebhookRefusedAlarm")
	}},
	{"webhooks with a wrong secret", []string{"WrongSecretAlarm"}, func(s *shop) {
		s.open()
		for range 3 {
			s.webhook("a-guess", webhook)
		}
		s.becomes(cloudwatchtest.Alarm, soon, "WrongSecretAlarm")
	}},
	{"the webhook's secret is no JSON", []string{"WebhookSecretUnreadableAlarm"}, func(s *shop) {
		s.open()
		s.changes("山田 四")
		s.put("supersaas", "webhook", []byte("no JSON"))
		s.pass(6 * time.Minute)
		s.changes("山田 五")
		s.becomes(cloudwatchtest.Alarm, soon, "WebhookSecretUnreadableAlarm")
		s.put("supersaas", "webhook", []byte(`{"current":"`+hookSecret+`"}`))
		s.changes("山田 六")
	}},
	{"a weak secret from before the upgrade", []string{"WebhookSecretWeakAlarm"}, func(s *shop) {
		s.set(map[string]string{"HIKYAKU_WEBHOOK_SECRET_RULE_SINCE": time.Now().Add(hour).Format(time.RFC3339)})
		s.put("supersaas", "webhook", []byte(`{"current":"weak"}`))
		s.open()
		s.webhook("weak", webhook)
		s.becomes(cloudwatchtest.Alarm, soon, "WebhookSecretWeakAlarm")
		s.put("supersaas", "webhook", []byte(`{"current":"`+hookSecret+`"}`))
	}},
	{"a webhook that names eleven users", []string{"WebhookTooManyAlarm"}, func(s *shop) {
		s.open()
		s.webhook(hookSecret, "["+strings.Repeat(webhook+",", 10)+webhook+"]")
		s.becomes(cloudwatchtest.Alarm, soon, "WebhookTooManyAlarm")
	}},
	{"an event that is no webhook", []string{"IngestErrorsAlarm"}, func(s *shop) {
		s.open()
		_, err := s.invoke(localstack.Ingest, `{"source":"aws.scheduler"}`)
		s.must(err)
		s.becomes(cloudwatchtest.Alarm, soon, "IngestErrorsAlarm")
	}},
	{"webhooks find no concurrency left", []string{"IngestFailuresAlarm", "IngestThrottledAlarm"}, func(s *shop) {
		s.slots[localstack.Ingest] = 1
		s.open()
		s.aws.Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: time.Second, Route: "sqs.SendMessage"})
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { s.webhook(hookSecret, webhook) })
		}
		both.Wait()
		s.becomes(cloudwatchtest.Alarm, soon, "IngestThrottledAlarm", "IngestFailuresAlarm")
	}},
	{"Yappli is down for 25 minutes of each hour", []string{"RelayLagAlarm"}, func(s *shop) {
		s.open()
		for n := range 4 {
			s.members().Inject(sandbox.Fault{Kind: sandbox.ServerFail, Times: -1})
			s.changes(fmt.Sprint("山田 ", n))
			s.pass(25 * time.Minute)
			s.members().SetFaults(sandbox.Faults{})
			s.pass(35 * time.Minute)
		}
		s.becomes(cloudwatchtest.Alarm, hour, "RelayLagAlarm")
		for range 4 {
			s.changes("山田 五")
			s.pass(hour)
		}
	}},
	{"events that are no messages", []string{"RelayErrorsAlarm"}, func(s *shop) {
		s.open()
		for range 3 {
			_, err := s.invoke(localstack.Relay, `{"source":"aws.scheduler"}`)
			s.must(err)
		}
		s.becomes(cloudwatchtest.Alarm, hour, "RelayErrorsAlarm")
	}},
	{"more users deleted than DisableCap, for hours", []string{"DisablingStoppedAlarm", "QueueAgeAlarm"}, func(s *shop) {
		s.set(map[string]string{"HIKYAKU_DISABLE_CAP": "2"})
		s.open()
		for _, id := range s.booking().UserIDs()[:4] {
			s.booking().DeleteUser(id)
		}
		s.becomes(cloudwatchtest.Alarm, soon, "DisablingStoppedAlarm")
		s.stays(6*hour, "DisablingStoppedAlarm")
		vars := s.template.Variables(localstack.Resource(localstack.Reconcile))
		maps.Copy(vars, s.vars)
		f, err := relayfn.New(s.ctx, lambdafn.Environ{Vars: vars, Out: io.Discard, HTTP: s.providers(localstack.Reconcile), AWS: s.aws.Client().Transport})
		s.must(err)
		tenant, err := f.Tenant(s.ctx)
		s.must(err)
		if stopped, err := tenant.State.Disabling.Release(s.ctx); err != nil || !stopped {
			s.Fatalf("Release = %v, %v", stopped, err)
		}
	}},
	{"no webhook is registered", []string{"WebhookMissingAlarm"}, func(s *shop) {
		s.start()
		s.pass(2 * time.Minute)
		s.reconcile()
		s.becomes(cloudwatchtest.Alarm, soon, "WebhookMissingAlarm")
		s.stays(12*hour, "WebhookMissingAlarm")
		s.register()
		s.pass(hour)
		s.reconcile()
	}},
	{"telephone numbers that cannot be read", []string{"UnreadableAlarm"}, func(s *shop) {
		numbers := func(text string) {
			for _, id := range s.booking().UserIDs() {
				s.booking().Quiet().ChangeUser(id, map[string]any{"mobile": text})
			}
		}
		numbers("なし")
		s.open()
		s.becomes(cloudwatchtest.Alarm, soon, "UnreadableAlarm")
		s.stays(12*hour, "UnreadableAlarm")
		numbers("090-1000-0001")
		s.pass(hour)
		s.reconcile()
	}},
	{"SuperSaaS has no list for hours", []string{"ReconcileFailedAlarm"}, func(s *shop) {
		s.open()
		s.booking().Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "GET /api/users", Times: -1})
		s.later(func() { s.reconcile() })
		s.becomes(cloudwatchtest.Alarm, 6*hour, "ReconcileFailedAlarm")
		s.booking().SetFaults(sandbox.Faults{})
	}},
	{"thousands of pages of members, each half a minute late", []string{"ReconcileTimedOutAlarm"}, func(s *shop) {
		s.more(1_900)
		pages := s.connection(providers.Yappli)
		pages.Quirks = []byte(`{"page_size":1}`)
		s.put(providers.Yappli, "connection", pages.Document())
		s.register()
		s.cadence = 5 * time.Minute
		s.start()
		s.pass(2 * time.Minute)
		s.members().Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: 25 * time.Second, Route: "GET /api/ext/users", Times: -1})
		s.later(func() { s.reconcile() })
		s.becomes(cloudwatchtest.Alarm, 13*hour, "ReconcileTimedOutAlarm")
	}},
}
