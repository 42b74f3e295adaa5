package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/doctor"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pause"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/execute"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/internal/webhookrelay/published"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// An illness causes one finding, and no other. Without a cure the finding's own next
// command ends it.
type illness struct {
	id    string
	cause func(p *patient)
	cure  func(p *patient, f doctor.Finding)
}

// both are the functions that link and create.
var both = []string{localstack.Ingest, localstack.Relay, localstack.Reconcile}

// redeployed are illnesses of the stack and its settings, which a deployment with the
// shop's own file ends.
var redeployed = []illness{
	{"stack.unfinished", func(p *patient) { p.described(func(s *awslocal.Stack) { s.Status = "UPDATE_ROLLBACK_FAILED" }) }, (*patient).redeploy},
	{"stack.behind", func(p *patient) { p.described(func(s *awslocal.Stack) { delete(s.Parameters, "ExportDrop") }) }, (*patient).redeploy},
	{"command.behind", func(p *patient) { p.described(func(s *awslocal.Stack) { s.Parameters["Later"] = "" }) }, (*patient).redeploy},
	{"settings.invalid", func(p *patient) {
		p.set("ExportPageSize", "HIKYAKU_EXPORT_PAGE_SIZE", "9999", localstack.Export)
	}, (*patient).redeploy},
	{"settings.identity-editable", func(p *patient) { p.set("Identity", "HIKYAKU_IDENTITY", "email", both...) }, (*patient).redeploy},
	{"settings.id-unconfirmed", func(p *patient) { p.set("IdIsUniqueId", "HIKYAKU_ID_IS_UNIQUE_ID", "no", both...) }, (*patient).redeploy},
	{"settings.link-always", func(p *patient) { p.set("Link", "HIKYAKU_LINK", "always", both...) }, (*patient).redeploy},
	{"settings.differ", func(p *patient) { p.set("", "HIKYAKU_RELAY", "observe", localstack.Ingest) }, (*patient).redeploy},
	{"settings.edited", func(p *patient) { p.set("", "HIKYAKU_TIME_ZONE", "Asia/Taipei", localstack.Export) }, (*patient).redeploy},
	{"relay.observes", func(p *patient) { p.set("RelayMode", "HIKYAKU_RELAY", "observe", both...) }, (*patient).redeploy},
	{"retention.short", func(p *patient) {
		p.described(func(s *awslocal.Stack) { s.Parameters["ExportRetentionDays"] = "3" })
	}, (*patient).redeploy},
	{"logs.short", func(p *patient) { p.described(func(s *awslocal.Stack) { s.Parameters["LogRetentionDays"] = "1" }) }, (*patient).redeploy},
	{"alarm.none", func(p *patient) {
		p.described(func(s *awslocal.Stack) {
			s.Resources = slices.DeleteFunc(s.Resources, func(r awslocal.StackResource) bool { return r.Type == "AWS::CloudWatch::Alarm" })
		})
	}, (*patient).redeploy},
	{"trigger.gone", func(p *patient) {
		p.described(func(s *awslocal.Stack) {
			at := slices.IndexFunc(s.Resources, func(r awslocal.StackResource) bool { return r.LogicalID == localstack.Exports })
			s.Resources[at].PhysicalID = "gone"
		})
	}, (*patient).redeploy},
	{"alarm.gone", func(p *patient) {
		p.described(func(s *awslocal.Stack) {
			s.Resources = append(s.Resources, awslocal.StackResource{Type: "AWS::CloudWatch::Alarm", LogicalID: "LostAlarm", PhysicalID: "lost"})
		})
	}, (*patient).redeploy},
	{"stack.shared-prefix", func(p *patient) { p.stack.AWS.Describe(p.second(localstack.Prefix)) }, func(p *patient, _ doctor.Finding) {
		p.stack.AWS.Describe(p.second("another"))
	}},
}

// second is another stack of the account.
func (p *patient) second(prefix string) awslocal.Stack {
	return awslocal.Stack{Name: "second", Parameters: map[string]string{"Prefix": prefix}, Outputs: map[string]string{"TokenRefreshFunctionName": "second-function"}}
}

const (
	alarm = localstack.Name + "-DeadLettersAlarm"
	topic = localstack.Name + "-PeopleTopic"
)

// rings is an illness of an alarm, which ends once CloudWatch sees no cause any more.
func rings(id, description string) illness {
	put := func(p *patient, state string) {
		p.stack.AWS.Told.PutAlarm(awslocal.Alarm{Name: alarm, Description: description, State: state, Actions: []string{"arn:aws:sns:topic"}})
	}
	return illness{id, func(p *patient) { put(p, "ALARM") }, func(p *patient, _ doctor.Finding) { put(p, "OK") }}
}

// subscribed is an illness of the topic.
func subscribed(id string, subscriptions ...awslocal.Subscription) illness {
	return illness{id, func(p *patient) { p.stack.AWS.Told.SetTopic(topic, subscriptions...) }, func(p *patient, _ doctor.Finding) {
		p.stack.AWS.Told.SetTopic(topic, awslocal.Subscription{Protocol: "email", Endpoint: "ops@shop.example"})
	}}
}

// failed is an illness of a state machine, which what it was started for ends. An
// execution that only looked whether it is wanted does not.
func failed(id, machine string, cure func(p *patient)) illness {
	execution := func(status string, ago time.Duration) awslocal.Execution {
		at := time.Now().Add(-ago)
		return awslocal.Execution{Name: strings.ToLower(status), Status: status, Started: at, Ended: at}
	}
	return illness{id, func(p *patient) {
		p.stack.AWS.Told.SetExecutions(machine, execution("RUNNING", 0), execution("TIMED_OUT", 0), execution("SUCCEEDED", time.Hour))
	}, func(p *patient, f doctor.Finding) {
		if !strings.HasPrefix(f.Next, "aws stepfunctions start-execution --state-machine-arn arn:aws:states:") || !strings.HasSuffix(f.Next, "--region "+awslocal.Region) {
			p.Errorf("next is %s", f.Next)
		}
		if cure != nil {
			cure(p)
			p.wantWell()
		}
		p.stack.AWS.Told.SetExecutions(machine, execution("SUCCEEDED", 0))
	}}
}

// measured is an illness of a metric.
func measured(id, namespace, metric string, value float64, dimensions map[string]string) illness {
	return illness{id, func(p *patient) {
		p.stack.AWS.Told.Measure(awslocal.Point{Namespace: namespace, Metric: metric, Dimensions: dimensions, At: time.Now().Add(-time.Minute), Value: value})
	}, func(p *patient, _ doctor.Finding) { p.stack.AWS.Told.ForgetMeasurements() }}
}

// around are illnesses of what stands around the functions.
var around = []illness{
	{"unread", func(p *patient) {
		p.front.denied = func(_ *http.Request, body string) bool { return strings.Contains(body, "DescribeAlarms") }
	}, (*patient).allow},
	{"clock.wrong", func(p *patient) { p.front.ahead = 3 * time.Minute }, func(p *patient, _ doctor.Finding) { p.front.ahead = 0 }},
	{"concurrency.low", func(p *patient) { p.stack.AWS.Told.SetAccountLimit(9) }, func(p *patient, _ doctor.Finding) { p.stack.AWS.Told.SetAccountLimit(1000) }},
	rings("alarm.critical", "Critical: invented"), rings("alarm.high", "High: invented"), rings("alarm.warning", "Warning: invented"),
	{"alarm.muted", func(p *patient) {
		p.stack.AWS.Told.PutAlarm(awslocal.Alarm{Name: alarm, Description: "High: invented", Muted: true, Actions: []string{"arn:aws:sns:topic"}})
	}, func(p *patient, _ doctor.Finding) {
		p.stack.AWS.Told.PutAlarm(awslocal.Alarm{Name: alarm, Description: "High: invented", Actions: []string{"arn:aws:sns:topic"}})
	}},
	subscribed("topic.nobody"), subscribed("topic.unconfirmed", awslocal.Subscription{Protocol: "email", Endpoint: "ops@shop.example", Pending: true}),
	failed("reconcile.failed", "ReconcileLoop", func(p *patient) { p.must("reconcile") }), failed("export.failed", "ExportLoop", nil),
	measured("queue.old", "AWS/SQS", "ApproximateAgeOfOldestMessage", 9000, map[string]string{"QueueName": localstack.Queue}),
	measured("dead.ending", "AWS/SQS", "ApproximateAgeOfOldestMessage", 1e6, map[string]string{"QueueName": localstack.DeadLetter}),
	measured("reconcile.drift", "Hikyaku", "ReconcileDrift", 2, map[string]string{"stack": localstack.Name}),
	measured("webhook.silent", "Hikyaku", "ReconcileDifferences", 5, map[string]string{"kind": "missing", "stack": localstack.Name}),
}

// allow is what an administrator does for who may not read.
func (p *patient) allow(doctor.Finding) { p.front.denied = nil }

func (p *patient) manager() *secretsmanager.Client { return secretsmanager.NewFromConfig(p.base.AWS) }

// drop removes a secret at once.
func (p *patient) drop(name string) {
	p.Helper()
	_, err := p.manager().DeleteSecret(p.ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
	p.ok(err)
}

// pair is SHOPLINE's connection of an app, whose token is renewed by one that is spent.
func (p *patient) pair() []byte {
	return p.stack.Sandboxes[providers.SHOPLINE].(*shoplinetest.Server).AppConnection(p.stack.URLs[providers.SHOPLINE]).Document()
}

func (p *patient) reconnect(document []byte) {
	p.Helper()
	p.store(secretOf(providers.SHOPLINE, secretstore.ConnectionPart), document)
	p.must("tokens", "refresh", providers.SHOPLINE)
}

// life is an illness of a token that is served.
func life(id, provider string, change func(*providers.Token)) illness {
	return illness{id, func(p *patient) { p.token(provider, change) }, nil}
}

// left is an illness that the last run left.
func left(id, provider string, outcome protocol.Outcome) illness {
	return illness{id, func(p *patient) {
		p.journal(provider, func(j *protocol.Journal) { j.Outcome, j.Reason, j.At = outcome, "invented", time.Now().Add(-time.Hour) })
	}, nil}
}

// tokenIllnesses are those of secrets, connections and tokens.
var tokenIllnesses = []illness{
	{"secret.deleted", func(p *patient) {
		_, err := p.manager().DeleteSecret(p.ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String(secretOf(providers.ActiBook, secretstore.ConnectionPart))})
		p.ok(err)
	}, func(p *patient, f doctor.Finding) {
		_, err := p.manager().RestoreSecret(p.ctx, &secretsmanager.RestoreSecretInput{SecretId: &f.Subject})
		p.ok(err)
	}},
	{"secret.broken", func(p *patient) { p.store(secretOf(providers.ActiBook, secretstore.TokenPart), []byte("[]")) }, nil},
	{"secret.denied", func(p *patient) {
		name := secretOf(providers.ActiBook, secretstore.ConnectionPart)
		p.front.denied = func(r *http.Request, body string) bool {
			return r.Header.Get("X-Amz-Target") == "secretsmanager.GetSecretValue" && strings.Contains(body, name)
		}
	}, (*patient).allow},
	{"secret.deleted", func(p *patient) { // which nobody reads before the token ends
		p.reconnect(p.pair())
		_, err := p.manager().DeleteSecret(p.ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String(secretOf(providers.SHOPLINE, secretstore.RefreshPart))})
		p.ok(err)
	}, func(p *patient, f doctor.Finding) {
		_, err := p.manager().RestoreSecret(p.ctx, &secretsmanager.RestoreSecretInput{SecretId: &f.Subject})
		p.ok(err)
	}},
	{"token.no-refresh", func(p *patient) {
		p.reconnect(p.pair())
		p.drop(secretOf(providers.SHOPLINE, secretstore.RefreshPart))
	}, func(p *patient, f doctor.Finding) {
		if !strings.HasPrefix(f.Next, "hikyaku authorize shopline ") {
			p.Errorf("next is %s", f.Next)
		}
		p.reconnect(p.pair()) // as 'authorize' stores the code that comes back
		p.wantWell()
		p.reconnect(p.connections(providers.SHOPLINE))
	}},
	{"secret.broken", func(p *patient) {
		p.set("ExportHash", "HIKYAKU_EXPORT_HASH", "shopline/customers:email", localstack.Export)
		p.store(localstack.Prefix+"/export/hmac", []byte(`{"key":"too-little"}`))
	}, func(p *patient, f doctor.Finding) {
		p.store(f.Subject, []byte(`{"key":"invented-hashing-key-00000000000"}`))
	}},
	{"hash-key.missing", func(p *patient) {
		p.set("ExportHash", "HIKYAKU_EXPORT_HASH", "shopline/customers:email", localstack.Export)
		p.drop(localstack.Prefix + "/export/hmac")
	}, func(p *patient, f doctor.Finding) {
		p.store(f.Subject, []byte(`{"key":"invented-hashing-key-00000000000"}`))
	}},
	{"connection.none", func(p *patient) {
		for _, name := range providers.Names() {
			p.drop(secretOf(name, secretstore.ConnectionPart))
		}
	}, func(p *patient, f doctor.Finding) {
		for _, name := range providers.Names() {
			f.Next = strings.Replace(f.Next, "PROVIDER", name, 1)
			p.follow(f)
			f.Next = strings.Replace(f.Next, name, "PROVIDER", 1)
		}
	}},
	{"connection.missing", func(p *patient) { p.drop(secretOf(providers.SuperSaaS, secretstore.ConnectionPart)) }, nil},
	{"connection.missing", func(p *patient) { // what 'connect --remote' leaves of a first connection that was refused
		name := secretOf(providers.ActiBook, secretstore.ConnectionPart)
		p.drop(name)
		p.ok(execute.Make(p.ctx, p.base.Secrets, name, uuid.NewString()))
	}, nil},
	{"connection.wrong", func(p *patient) {
		p.connection(providers.ActiBook, func(d map[string]any) { d["base_url"] = "ftp://x" })
	}, nil},
	{"connection.unknown-field", func(p *patient) { p.connection(providers.Yappli, func(d map[string]any) { d["client_secret"] = "x" }) }, nil},
	{"token.missing", func(p *patient) { p.drop(secretOf(providers.ActiBook, secretstore.TokenPart)) }, nil},
	life("token.expired", providers.ActiBook, func(t *providers.Token) { t.ExpiresAt = time.Now().Add(-time.Minute) }),
	life("token.overdue", providers.Yappli, func(t *providers.Token) {
		t.ObtainedAt, t.ExpiresAt = time.Now().Add(-20*time.Hour), time.Now().Add(4*time.Hour)
	}),
	life("token.ending", providers.SuperSaaS, func(t *providers.Token) { t.ExpiresAt = time.Now().Add(100 * time.Hour) }),
	life("token.no-end", providers.Yappli, func(t *providers.Token) { t.ExpiresAt = time.Time{} }),
	life("token.refused", providers.Yappli, func(t *providers.Token) { t.Credential = providers.NewSecret("no-token-0001") }),
	{"token.unclear", func(p *patient) { p.stack.SuperSaaS().Inject(sandbox.Fault{Kind: sandbox.ServerFail, Times: -1}) }, func(p *patient, f doctor.Finding) {
		p.stack.SuperSaaS().SetFaults(sandbox.Faults{})
		p.follow(f)
	}},
	{"token.forbidden", func(p *patient) { p.before[providers.SuperSaaS].forbids = true }, func(p *patient, _ doctor.Finding) {
		p.before[providers.SuperSaaS].forbids = false // the provider was told of this machine's address
	}},
	left("token.needs-human", providers.SuperSaaS, protocol.Refused), left("token.unconfigured", providers.SHOPLINE, protocol.Unconfigured),
	left("token.failing", providers.ActiBook, protocol.Failed), left("token.in-doubt", providers.AssistTencho, protocol.InDoubt),
	{"token.budget-spent", func(p *patient) {
		p.journal(providers.Yappli, func(j *protocol.Journal) { j.Forced = slices.Repeat([]time.Time{time.Now()}, 6) })
	}, func(p *patient, _ doctor.Finding) {
		p.journal(providers.Yappli, func(j *protocol.Journal) { j.Forced = nil })
	}},
	{"relay.update-unknown", func(p *patient) {
		p.connection(providers.Yappli, func(d map[string]any) { delete(d["quirks"].(map[string]any), "update") })
		p.must("tokens", "refresh", providers.Yappli, "--force")
	}, nil},
}

// pointer says which mapping counts.
const pointer = localstack.Prefix + "/config/mapping/pointer"

// publish publishes a mapping without what 'mapping put' checks.
func (p *patient) publish(source string) {
	p.Helper()
	store := published.Store{Objects: p.base.Objects, Prefix: localstack.Prefix}
	log, err := store.Log(p.ctx)
	p.ok(err)
	p.ok(store.Put(p.ctx, log, []byte(source), published.Entry{At: time.Now()}))
}

// mappings are illnesses of the mapping and the webhook.
var mappings = []illness{
	{"mapping.unpublished", func(p *patient) { p.remove(p.keys("config/mapping/")...) }, nil},
	{"mapping.pointer-lost", func(p *patient) { p.remove(pointer) }, nil},
	{"mapping.pointer-broken", func(p *patient) { p.write(pointer, []byte("[]")) }, func(p *patient, f doctor.Finding) {
		if !strings.HasPrefix(f.Next, "aws s3 mv s3://"+awslocal.Bucket+"/"+pointer+" ") {
			p.Errorf("next is %s", f.Next)
		}
		p.remove(pointer)
	}},
	{"mapping.unreadable", func(p *patient) {
		for _, key := range p.keys("config/mapping/") {
			if strings.HasSuffix(key, ".yaml") {
				p.write(key, []byte("column02: name\n"))
			}
		}
	}, nil},
	{"mapping.refused", func(p *patient) { p.publish("column01: id\nlink_if: [column01]\n") }, nil},
	{"mapping.unknown-field", func(p *patient) { p.publish("column01: phone\n") }, nil}, // which this account does not show

	{"webhook.no-secret", func(p *patient) { p.drop(webhooksecret.Name(localstack.Prefix)) }, nil},
	{"webhook.weak-secret", func(p *patient) { p.store(webhooksecret.Name(localstack.Prefix), []byte(`{"current":"feeble-0001"}`)) }, nil},
	{"webhook.old-secret", func(p *patient) { p.must("connect", "webhook") }, nil},
	{"webhook.missing", func(p *patient) { p.must("hooks", "remove") }, nil},
	{"webhook.wrong-secret", func(p *patient) {
		p.must("hooks", "remove")
		p.hook(p.stack.Webhook + "another-secret-0000000000000000000")
	}, nil},
	{"webhook.twice", func(p *patient) { p.hook(p.stack.Webhook + "another-secret-0000000000000000000") }, nil},
	{"webhook.elsewhere", func(p *patient) { p.hook("https://elsewhere.example/webhook/x") }, func(p *patient, _ doctor.Finding) {
		client := supersaas.New(p.base.Tokens(providers.SuperSaaS), p.base.Options())
		hooks, err := client.Hooks(p.ctx)
		p.ok(err)
		for _, h := range hooks {
			if !strings.HasPrefix(h.Target.Reveal(), p.stack.Webhook) {
				p.ok(client.DeleteHook(p.ctx, h.ID, h.ParentID))
			}
		}
	}},
}

func (p *patient) hook(target string) {
	p.stack.SuperSaaS().AddHook(supersaastest.Hook{Trigger: "M", Target: target})
}

// memberOfSameIdentity makes a user and a member, whom the relay did not make, that bear
// one identity.
func (p *patient) memberOfSameIdentity() (user int64) {
	p.Helper()
	user = p.stack.SuperSaaS().Quiet().AddUser(map[string]any{"name": uuid.NewString() + "@mail.example", "full_name": "見本 試子"})
	p.stack.Yappli().Put(yapplitest.Member{Values: map[string]string{"unique_id": strconv.FormatInt(user, 10)}})
	p.must("reconcile")
	return user
}

// relays are illnesses of the relay's state.
var relays = []illness{
	{"dead.letters", func(p *patient) { p.letter() }, nil},
	{"dead.letters", func(p *patient) { p.letter(); p.hide() }, func(p *patient, f doctor.Finding) { // somebody looks at it just now
		time.Sleep(time.Second)
		p.follow(f)
	}},
	{"disabling.stopped", func(p *patient) {
		_, err := p.state().Disabling.Allow(p.ctx, 1, 0, time.Now())
		p.ok(err)
	}, nil},
	{"reconcile.never", func(p *patient) {
		p.remove(slices.DeleteFunc(p.keys("state/relay/"), func(k string) bool { return !strings.HasSuffix(k, "/index") })...)
	}, nil},
	{"reconcile.old", func(p *patient) {
		list, err := p.state().Index.Read(p.ctx)
		p.ok(err)
		list.Began = time.Now().Add(-60 * time.Hour)
		p.ok(p.state().Index.Write(p.ctx, list))
	}, nil},
	{"reconcile.wanted", func(p *patient) {
		p.ok(p.state().Wanted.Ask(p.ctx, time.Now()))
		p.change(p.state().Root+"wanted", "since", time.Now().Add(-2*time.Hour))
	}, nil},
	{"pairs.waiting", func(p *patient) { p.memberOfSameIdentity() }, nil},
	{"decisions.undone", func(p *patient) {
		user := strconv.FormatInt(p.memberOfSameIdentity(), 10)
		out, err := p.run("", "links", "show", "--user", user, "--stack", localstack.Name, "--json")
		p.ok(err)
		var shown struct{ Token string }
		p.ok(json.Unmarshal([]byte(out), &shown))
		p.must("links", "approve", "--user", user, "--token", shown.Token)
		for _, key := range p.keys("state/relay/") {
			if strings.HasSuffix(key, "/decisions/"+user) {
				p.change(key, "decided", time.Now().Add(-2*time.Hour))
			}
		}
	}, func(p *patient, f doctor.Finding) {
		p.follow(f)
		p.relayed()
	}},
}

const dataset = "shopline/customers"

// exports are illnesses of runs.
var exports = []illness{
	{"export.never", func(p *patient) { p.remove(append(p.keys("exports/"+dataset), p.keys("state/export/"+dataset)...)...) }, nil},
	{"export.old", func(p *patient) {
		p.change(localstack.Prefix+"/exports/supersaas/users/latest.json", "scheduled_time", time.Now().Add(-40*time.Hour))
	}, nil},
	{"export.gone", func(p *patient) {
		p.remove(slices.DeleteFunc(p.keys("exports/yappli/users/"), func(k string) bool { return !strings.Contains(k, "/run=") })...)
	}, nil},
	{"export.unfinished", func(p *patient) {
		p.remove(slices.DeleteFunc(p.keys("state/export/yappli/users"), func(k string) bool { return !strings.Contains(k, "/run=") })...)
		name := localstack.Prefix + "/state/export/yappli/users/run=" + time.Now().Add(-30*time.Hour).UTC().Format("20060102T150405Z") + ".json"
		_, err := objectstore.Document{Key: name}.Replace(p.ctx, p.base.Objects, map[string]any{"until": time.Now().Add(-29 * time.Hour)})
		p.ok(err)
	}, nil},
	{"export.rejects", func(p *patient) { p.change(p.newest("yappli/users"), "rejects", 2) }, nil},
	{"export.unresolved", func(p *patient) { p.change(p.newest("yappli/users"), "drift", map[string]int{"unresolved": 1}) }, nil},
	{"export.owed", func(p *patient) {
		p.change(p.newest(dataset), "owed", []map[string]any{{"from": time.Now(), "to": time.Now(), "since_run": "x", "left": 1}})
	}, nil},
	{"export.doubt", func(p *patient) {
		app := p.stack.Yappli()
		var before bytes.Buffer
		p.ok(app.Dump(&before))
		for range 100 { // of fewer, half may go in a day
			app.Put(yapplitest.Member{})
		}
		p.must("export", "yappli/users", "--at", p.soon())
		p.ok(app.Load(&before))
		out, err := p.run("", "export", "yappli/users", "--at", p.soon(), "--stack", localstack.Name)
		if _, doubt := errors.AsType[*doubtError](err); !doubt {
			p.Fatalf("no doubt, but %v: %s", err, out)
		}
	}, nil},
}

// pauses are illnesses of what starts the work.
var pauses = []illness{
	{"pause.lasts", func(p *patient) { p.must("pause", "export", "--for", "1h", "--reason", "invented") }, nil},
	{"pause.overdue", func(p *patient) {
		p.must("pause", "export", "--for", "1h", "--reason", "invented")
		p.change(localstack.Prefix+"/state/pause", "export", pause.Pause{By: "x", Reason: "invented", Since: time.Now().Add(-3 * time.Hour), Until: time.Now().Add(-time.Hour)})
	}, nil},
	{"pause.half", func(p *patient) { // the command was interrupted after it wrote down the pause
		_, err := pause.Begin(p.ctx, p.base.Objects, localstack.Prefix, map[string][]string{pause.Relay: nil}, pause.Pause{By: "x", Reason: "invented", Since: time.Now(), Until: time.Now().Add(time.Hour)})
		p.ok(err)
	}, nil},
	{"pause.broken", func(p *patient) { p.write(localstack.Prefix+"/state/pause", []byte("[]")) }, func(p *patient, f doctor.Finding) {
		if !strings.HasPrefix(f.Next, "aws s3 mv s3://"+awslocal.Bucket+"/"+localstack.Prefix+"/state/pause ") {
			p.Errorf("next is %s", f.Next)
		}
		p.remove(localstack.Prefix + "/state/pause")
	}},
	{"pause.unwatched", func(p *patient) { p.watching(false) }, func(p *patient, f doctor.Finding) {
		if !strings.HasPrefix(f.Next, "aws scheduler get-schedule --name "+localstack.Name+"-PauseWatch-") {
			p.Errorf("next is %s", f.Next)
		}
		p.watching(true)
	}},
	{"trigger.off", func(p *patient) { // somebody switched it off by hand
		stack, err := clibase.FindStack(p.ctx, p.base.AWS, localstack.Name)
		p.ok(err)
		source, err := stack.Source(userSource)
		p.ok(err)
		p.ok(source.Enable(p.ctx, false))
	}, nil},
}

// letter is a change that was given up.
func (p *patient) letter() {
	p.Helper()
	e := queue.Message{User: 1, Event: "change", At: time.Now().Add(-time.Minute), Class: "invalid"}.Envelope(uuid.NewString())
	url := p.stack.Vars(localstack.Relay)["HIKYAKU_DEAD_LETTER_QUEUE_URL"]
	_, err := sqs.NewFromConfig(p.base.AWS).SendMessage(p.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(string(e.Body)), MessageGroupId: &e.Group, MessageDeduplicationId: &e.Dedup})
	p.ok(err)
}

// relayed lets the relay work until nothing waits.
func (p *patient) relayed() {
	p.Helper()
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	go func() { _ = p.stack.AWS.Poll(ctx, localstack.RelaySource()) }()
	url := p.stack.Vars(localstack.Relay)["HIKYAKU_QUEUE_URL"]
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		shown, err := sqs.NewFromConfig(p.base.AWS).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
		p.ok(err)
		if shown.Attributes["ApproximateNumberOfMessages"] == "0" && shown.Attributes["ApproximateNumberOfMessagesNotVisible"] == "0" {
			return
		}
	}
	p.Fatal("the queue is not empty after 10 s")
}
