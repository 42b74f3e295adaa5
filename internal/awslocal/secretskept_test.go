package awslocal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
)

// described is all that Secrets Manager shows of every secret.
func described(t *testing.T, a *awslocal.AWS) string {
	t.Helper()
	client := secretsmanager.NewFromConfig(config(a))
	list, err := client.ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)})
	ok(t, "list", err)
	var all []any
	for _, s := range list.SecretList {
		versions, err := client.ListSecretVersionIds(t.Context(), &secretsmanager.ListSecretVersionIdsInput{SecretId: s.Name, IncludeDeprecated: aws.Bool(true)})
		ok(t, "versions", err)
		all = append(all, s, versions.Versions)
		for _, v := range versions.Versions {
			value, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: s.Name, VersionId: v.VersionId})
			if err == nil {
				all = append(all, value.SecretString, value.SecretBinary, value.VersionStages)
			}
		}
	}
	text, err := json.Marshal(all)
	ok(t, "marshal", err)
	return string(text)
}

func TestSecretsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	kept(t, func(t *testing.T, r *restarts) {
		client := func() *secretsmanager.Client { return secretsmanager.NewFromConfig(config(r.a)) }
		ctx := t.Context()
		id := func(n int) *string { return aws.String(fmt.Sprintf("%032d", n)) }
		_, err := client().CreateSecret(ctx, &secretsmanager.CreateSecretInput{
			Name: aws.String("a"), ClientRequestToken: id(1), SecretString: aws.String("one"), Description: aws.String("about"), Tags: []smtypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
		})
		ok(t, "create", err)
		time.Sleep(time.Hour)
		_, err = client().PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String("a"), ClientRequestToken: id(2), SecretBinary: []byte("two"), VersionStages: []string{"NEXT"}})
		ok(t, "put", err)
		for _, name := range []string{"marked", "gone"} {
			ok(t, "create "+name, r.a.Secrets.Create(ctx, name, *id(3), []byte("x")))
			_, err = client().DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(name == "gone")})
			ok(t, "delete "+name, err)
		}
		ok(t, "create", r.a.Secrets.Create(ctx, "rotating", *id(4), []byte("x")))
		_, err = r.a.Secrets.Rotate(ctx, "rotating", *id(5), "function")
		ok(t, "rotate", err)
		_ = described(t, r.a) // which reads, once a day
		before := described(t, r.a)
		for range 2 {
			r.begin()
			equal(t, "after a restart", described(t, r.a), before)
		}
		_, err = client().UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{SecretId: aws.String("a"), VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: id(2), RemoveFromVersionId: id(1)})
		ok(t, "promote", err)
		r.begin()
		now, err := client().GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("a")})
		ok(t, "get", err)
		equal(t, "binary", string(now.SecretBinary), "two")
		was, err := client().GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("a"), VersionStage: aws.String("AWSPREVIOUS")})
		ok(t, "get", err)
		equal(t, "text", aws.ToString(was.SecretString), "one")
		_, err = client().RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: aws.String("marked")})
		ok(t, "restore", err)
		r.begin()
		_, err = r.a.Secrets.Get(ctx, "marked", secretstore.Current)
		ok(t, "restored", err)
		ok(t, "delete", r.a.Secrets.Delete(ctx, "marked", 7*24*time.Hour))
		r.begin()
		time.Sleep(7 * 24 * time.Hour)
		ok(t, "its name is free", r.a.Secrets.Create(ctx, "marked", *id(6), []byte("new")))
	})
}

// TestSecretThatCannotBeKept stays what it was.
func TestSecretThatCannotBeKept(t *testing.T) {
	t.Parallel()
	kept(t, func(t *testing.T, r *restarts) {
		ctx := t.Context()
		ok(t, "create", r.a.Secrets.Create(ctx, "a", fmt.Sprintf("%032d", 1), []byte("one")))
		_, err := r.a.Secrets.Get(ctx, "a", secretstore.Current) // which is kept too
		ok(t, "get", err)
		before := described(t, r.a)
		full := errors.New("no space left on device")
		r.options.Keeper.(*keepertest.Memory).Fault = func([]sandbox.Change) error { return full }
		for what, change := range map[string]func() error{
			"create": func() error { return r.a.Secrets.Create(ctx, "b", fmt.Sprintf("%032d", 2), []byte("two")) },
			"put": func() error {
				return r.a.Secrets.Put(ctx, "a", fmt.Sprintf("%032d", 2), []byte("two"), secretstore.Current)
			},
			"promote": func() error { return r.a.Secrets.Promote(ctx, "a", "NEXT", fmt.Sprintf("%032d", 1), "") },
			"delete":  func() error { return r.a.Secrets.Delete(ctx, "a", 7*24*time.Hour) },
			"remove":  func() error { return r.a.Secrets.Delete(ctx, "a", 0) },
			"rotate": func() error {
				started, err := r.a.Secrets.Rotate(ctx, "a", fmt.Sprintf("%032d", 2), "f")
				equal(t, "started", started, false)
				return err
			},
			"cancel": func() error { return r.a.Secrets.Cancel(ctx, "a") },
		} {
			if change() == nil {
				t.Errorf("%s is acknowledged, and not kept", what)
			}
			equal(t, "after "+what, described(t, r.a), before)
		}
		_, err = r.a.Secrets.Get(ctx, "a", secretstore.Current)
		ok(t, "reading goes on", err)
		r.options.Keeper.(*keepertest.Memory).Fault = nil
		r.begin()
		equal(t, "after a restart", described(t, r.a), before)
	})
}

const hourly = `{"ScheduleExpression":"rate(1 hour)","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"arn:aws:lambda:x:0:function:f","RoleArn":"arn:aws:iam::0:role/r"}}`

func TestSwitchesOutliveTheProcess(t *testing.T) {
	t.Parallel()
	kept(t, func(t *testing.T, r *restarts) {
		ctx := t.Context()
		source := awslocal.Mapping{ID: "5f0c0c1e-6a43-4f0e-9d59-000000000001", Queue: "q.fifo", Function: "f"}
		add := func(document string) {
			t.Helper()
			ok(t, "schedule", r.a.AddSchedule("s", document))
			r.a.AddSource(source)
		}
		add(hourly)
		update := func(enabled bool) {
			t.Helper()
			state := map[bool]string{true: "ENABLED", false: "DISABLED"}[enabled]
			client := scheduler.NewFromConfig(config(r.a))
			found, err := client.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String("s")})
			ok(t, "get", err)
			_, err = client.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
				Name: aws.String("s"), State: types.ScheduleState(state), ScheduleExpression: aws.String("rate(2 hours)"), FlexibleTimeWindow: found.FlexibleTimeWindow, Target: found.Target,
			})
			ok(t, "update", err)
			_, err = awslambda.NewFromConfig(config(r.a)).UpdateEventSourceMapping(ctx, &awslambda.UpdateEventSourceMappingInput{UUID: &source.ID, Enabled: &enabled})
			ok(t, "switch", err)
		}
		expect := func(what string, enabled bool, expression string) {
			t.Helper()
			time.Sleep(time.Second)
			found, err := awslambda.NewFromConfig(config(r.a)).GetEventSourceMapping(ctx, &awslambda.GetEventSourceMappingInput{UUID: &source.ID})
			ok(t, "get", err)
			equal(t, what+": source", aws.ToString(found.State), map[bool]string{true: "Enabled", false: "Disabled"}[enabled])
			equal(t, what+": schedule", r.a.Fires("s"), enabled)
			equal(t, what+": expression", r.a.Schedules()[0].Expression, expression)
		}
		expect("new", true, "rate(1 hour)")
		update(false)
		expect("switched off", false, "rate(2 hours)")
		r.begin()
		add(hourly)
		expect("as it was left", false, "rate(2 hours)")
		r.begin()
		add(`{"ScheduleExpression":"rate(3 hours)"` + hourly[len(`{"ScheduleExpression":"rate(1 hour)"`):])
		expect("described otherwise now", false, "rate(3 hours)")
		update(true)
		r.begin()
		add(`{"ScheduleExpression":"rate(3 hours)"` + hourly[len(`{"ScheduleExpression":"rate(1 hour)"`):])
		expect("switched on", true, "rate(2 hours)")
		r.options.Keeper.(*keepertest.Memory).Fault = func([]sandbox.Change) error { return errors.New("no space left on device") }
		_, err := awslambda.NewFromConfig(config(r.a)).UpdateEventSourceMapping(ctx, &awslambda.UpdateEventSourceMappingInput{UUID: &source.ID, Enabled: aws.Bool(false)})
		code(t, "not kept", err, "ServiceException")
	})
}
