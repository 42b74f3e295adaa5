package awslocal_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"hikyaku/internal/awslocal"
)

const mappingID = "5f0c0c1e-6a43-4f0e-9d59-00000000000a"

// A mapping that is switched off receives nothing and finishes what it has; switched on
// again, it delivers what came meanwhile, once.
func TestAMappingIsSwitchedOff(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true"})
		m := awslocal.Mapping{ID: mappingID, Queue: "q.fifo", Function: "f", BatchSize: 10}
		a.AddSource(m)
		var got []string
		poll(t, a, m, func(e events.SQSEvent) (any, error) {
			time.Sleep(10 * time.Second)
			got = append(got, texts(e))
			return nil, nil
		})
		client := awslambda.NewFromConfig(config(a))
		shown := func() string {
			out, err := client.GetEventSourceMapping(t.Context(), &awslambda.GetEventSourceMappingInput{UUID: aws.String(mappingID)})
			ok(t, "get", err)
			return *out.State
		}
		turn := func(on bool) error {
			_, err := client.UpdateEventSourceMapping(t.Context(), &awslambda.UpdateEventSourceMappingInput{UUID: aws.String(mappingID), Enabled: &on})
			return err
		}
		equal(t, "state", shown(), "Enabled")
		q.send("a-1")
		time.Sleep(time.Second)
		ok(t, "off", turn(false))
		equal(t, "state", shown(), "Disabling")
		var busy *lambdatypes.ResourceInUseException
		if err := turn(true); !errors.As(err, &busy) {
			t.Fatalf("a change during a change: %v", err)
		}
		time.Sleep(time.Second)
		equal(t, "state", shown(), "Disabled")
		q.send("a-2", "b-1")
		time.Sleep(time.Hour)
		synctest.Wait()
		equal(t, "delivered before", fmt.Sprint(got), "[a-1]")
		ok(t, "on", turn(true))
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "delivered in all", fmt.Sprint(got), "[a-1 a-2 b-1]")
		equal(t, "state", shown(), "Enabled")
		equal(t, "left", q.attributes()["ApproximateNumberOfMessages"], "0")
		if _, err := client.GetEventSourceMapping(t.Context(), &awslambda.GetEventSourceMappingInput{UUID: aws.String("none")}); err == nil {
			t.Error("a mapping that nobody made is shown")
		}
		if _, err := client.UpdateEventSourceMapping(t.Context(), &awslambda.UpdateEventSourceMappingInput{UUID: aws.String(mappingID), BatchSize: aws.Int32(1)}); err == nil {
			t.Error("what is not served was not refused")
		}
	})
}

// An update of a schedule replaces it: what a caller leaves out is gone.
func TestAScheduleIsReplaced(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		const target = `{"Arn":"arn:aws:lambda:ap-northeast-1:000000000000:function:f","RoleArn":"arn:aws:iam::000000000000:role/r","Input":"{}"}`
		ok(t, "add", a.AddSchedule("tick", `{"Description":"looks","ScheduleExpression":"rate(1 minute)","FlexibleTimeWindow":{"Mode":"OFF"},"Target":`+target+`}`))
		client := scheduler.NewFromConfig(config(a))
		get := func() *scheduler.GetScheduleOutput {
			out, err := client.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String("tick")})
			ok(t, "get", err)
			return out
		}
		made := get()
		equal(t, "made", fmt.Sprintf("%s %s %s %s %s %s %s %s", *made.Arn, *made.Name, *made.GroupName, *made.ScheduleExpressionTimezone, made.State, made.ActionAfterCompletion, *made.Description, *made.Target.Input),
			"arn:aws:scheduler:ap-northeast-1:000000000000:schedule/default/tick tick default UTC ENABLED NONE looks {}")
		equal(t, "fires", a.Fires("tick"), true)
		in := &scheduler.UpdateScheduleInput{
			Name: aws.String("tick"), ScheduleExpression: aws.String("rate(2 minutes)"), FlexibleTimeWindow: made.FlexibleTimeWindow, Target: made.Target,
			State: types.ScheduleStateDisabled, ClientToken: aws.String("once"),
		}
		_, err := client.UpdateSchedule(t.Context(), in)
		ok(t, "update", err)
		now := get()
		equal(t, "fires", a.Fires("tick"), false)
		equal(t, "expression", *now.ScheduleExpression+string(now.State), "rate(2 minutes)DISABLED")
		if now.Description != nil || !reflect.DeepEqual(now.Target, made.Target) || !now.CreationDate.Equal(*made.CreationDate) {
			t.Errorf("after an update: %+v", now)
		}
		for name, spoil := range map[string]func(*scheduler.UpdateScheduleInput){
			"another group": func(in *scheduler.UpdateScheduleInput) { in.GroupName = aws.String("others") },
			"another name":  func(in *scheduler.UpdateScheduleInput) { in.Name = aws.String("nobody") },
			"a state":       func(in *scheduler.UpdateScheduleInput) { in.State = "PAUSED" },
		} {
			wrong := *in
			spoil(&wrong)
			if _, err := client.UpdateSchedule(t.Context(), &wrong); err == nil {
				t.Errorf("%s was taken", name)
			}
		}
		if _, err := client.ListSchedules(t.Context(), &scheduler.ListSchedulesInput{}); err == nil {
			t.Error("what is not served was not refused")
		}
		equal(t, "expression", *get().ScheduleExpression, "rate(2 minutes)")
	})
}
