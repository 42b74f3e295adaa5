package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	watchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"

	"hikyaku/internal/doctor"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
)

// watcher speaks CloudWatch's query protocol, which each of its emulators knows too.
func watcher(s *clibase.Stack) *cloudwatch.Client {
	return cloudwatch.NewFromConfig(s.Config, func(o *cloudwatch.Options) { o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801) })
}

// readStacks looks for other stacks of the account with the same prefix.
func (g accountReader) readStacks(ctx context.Context) error {
	names, all, err := clibase.Sharing(ctx, g.stack.Config, g.o.Place.Prefix)
	g.o.Stacks = all
	g.o.SamePrefix = slices.DeleteFunc(names, func(name string) bool { return name == g.stack.Name })
	return err
}

func (g accountReader) readAccount(ctx context.Context) error {
	shown, err := awslambda.NewFromConfig(g.stack.Config).GetAccountSettings(ctx, &awslambda.GetAccountSettingsInput{})
	if err != nil {
		return err
	}
	if shown.AccountLimit == nil {
		return locale.Errorf("the account's limits name no concurrency")
	}
	g.o.Concurrency = int(shown.AccountLimit.ConcurrentExecutions)
	return nil
}

// resource is the physical id of one of the stack's resources.
func (g accountReader) resource(name string) (string, error) {
	id := g.stack.Resources[name]
	if id == "" {
		return "", locale.Errorf("the stack has no %s: it is older than this command, or not deployed to its end", name)
	}
	return id, nil
}

// readDeadLetters reads how many dead letters there are, also those that somebody looks
// at just now. They are not received: that would count as a try.
func (g accountReader) readDeadLetters(ctx context.Context) error {
	url, err := g.resource("DeadLetterQueue")
	if err != nil {
		return err
	}
	counts := []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible}
	shown, err := sqs.NewFromConfig(g.stack.Config).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: counts})
	if err != nil {
		return err
	}
	for _, name := range counts {
		n, err := strconv.Atoi(shown.Attributes[string(name)])
		if err != nil {
			return locale.Errorf("the queue DeadLetterQueue does not say how many messages it holds")
		}
		g.o.DeadLetters += n
	}
	return nil
}

const (
	lately    = 15 * time.Minute   // for the ages of messages
	twoDays   = 2 * 24 * time.Hour // for what the newest comparisons met
	sevenDays = 7 * 24 * time.Hour // for what comes each day
)

// readMetrics reads what the alarms on queues and webhooks look at.
func (g accountReader) readMetrics(ctx context.Context) error {
	queueName := func(resource string) (string, error) {
		url, err := g.resource(resource)
		return url[strings.LastIndexByte(url, '/')+1:], err
	}
	users, err := queueName("UserQueue")
	if err != nil {
		return err
	}
	dead, err := queueName("DeadLetterQueue")
	if err != nil {
		return err
	}
	const age = "ApproximateAgeOfOldestMessage"
	var waits, lies float64
	m := &g.o.Metrics
	for _, q := range []metricQuery{
		{"AWS/SQS", age, map[string]string{"QueueName": users}, watchtypes.StatisticMaximum, lately, &waits},
		{"AWS/SQS", age, map[string]string{"QueueName": dead}, watchtypes.StatisticMaximum, lately, &lies},
		{"Hikyaku", "WebhookAccepted", map[string]string{"object": "user", "stack": g.stack.Name}, watchtypes.StatisticSum, sevenDays, &m.Arrived},
		{"Hikyaku", "ReconcileDifferences", map[string]string{"kind": "differing", "stack": g.stack.Name}, watchtypes.StatisticSum, sevenDays, &m.Differed},
		{"Hikyaku", "ReconcileDrift", map[string]string{"stack": g.stack.Name}, watchtypes.StatisticSum, twoDays, &m.Drift},
		{"Hikyaku", "ReconcileDifferences", map[string]string{"kind": "missing", "stack": g.stack.Name}, watchtypes.StatisticSum, sevenDays, &m.Differed},
	} {
		if err := g.readMetric(ctx, q); err != nil {
			return err
		}
	}
	m.QueueAge, m.DeadAge = time.Duration(waits)*time.Second, time.Duration(lies)*time.Second
	return nil
}

// A metricQuery asks for the sum, or the largest, of a metric over a time that ends now.
type metricQuery struct {
	namespace, name string
	dimensions      map[string]string
	statistic       watchtypes.Statistic
	over            time.Duration
	to              *float64
}

func (g accountReader) readMetric(ctx context.Context, q metricQuery) error {
	now := g.now()
	shown, err := watcher(g.stack).GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: &q.namespace, MetricName: &q.name, Dimensions: dimensionsOf(q.dimensions), Statistics: []watchtypes.Statistic{q.statistic},
		StartTime: aws.Time(now.Add(-q.over)), EndTime: &now, Period: aws.Int32(int32(min(q.over, 24*time.Hour).Seconds())),
	})
	if err != nil {
		return err
	}
	for _, p := range shown.Datapoints {
		if q.statistic == watchtypes.StatisticSum {
			*q.to += aws.ToFloat64(p.Sum)
		} else {
			*q.to = max(*q.to, aws.ToFloat64(p.Maximum))
		}
	}
	return nil
}

// readExecutions reads the newest execution of each state machine that ended well, and
// the newest that did not. They are asked for apart: one that only looks whether a
// comparison is wanted ends well every ten minutes.
func (g accountReader) readExecutions(ctx context.Context) error {
	client := sfn.NewFromConfig(g.stack.Config)
	for _, name := range []string{"ReconcileLoop", "ExportLoop"} {
		machine, err := g.resource(name)
		if err != nil {
			return err
		}
		for _, status := range []sfntypes.ExecutionStatus{sfntypes.ExecutionStatusSucceeded, sfntypes.ExecutionStatusFailed, sfntypes.ExecutionStatusTimedOut, sfntypes.ExecutionStatusAborted} {
			shown, err := client.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &machine, MaxResults: 1, StatusFilter: status})
			if err != nil {
				return err
			}
			for _, e := range shown.Executions {
				g.o.Executions = append(g.o.Executions, doctor.Execution{
					Machine: name, MachineARN: machine, Status: string(status), ARN: aws.ToString(e.ExecutionArn), Started: aws.ToTime(e.StartDate),
				})
			}
		}
	}
	return nil
}

// readAlarms reads the alarms that CloudFormation has made: it begins their names with
// the stack's.
func (g accountReader) readAlarms(ctx context.Context) error {
	pages := cloudwatch.NewDescribeAlarmsPaginator(watcher(g.stack), &cloudwatch.DescribeAlarmsInput{
		AlarmNamePrefix: aws.String(g.stack.Name + "-"), AlarmTypes: []watchtypes.AlarmType{watchtypes.AlarmTypeMetricAlarm, watchtypes.AlarmTypeCompositeAlarm},
	})
	missing := map[string]bool{} // of the stack's, those that were not seen yet
	for name, kind := range g.stack.Types {
		if kind == "AWS::CloudWatch::Alarm" || kind == "AWS::CloudWatch::CompositeAlarm" {
			id := g.stack.Resources[name]
			missing[id[strings.LastIndexByte(id, ':')+1:]] = true // of an ARN, what it ends in
		}
	}
	add := func(name, description *string, state watchtypes.StateValue, enabled *bool, actions []string) {
		if !missing[aws.ToString(name)] { // a stack whose name begins alike
			return
		}
		delete(missing, aws.ToString(name))
		g.o.Alarms = append(g.o.Alarms, doctor.Alarm{
			Name: aws.ToString(name), Description: aws.ToString(description),
			Rings: state == watchtypes.StateValueAlarm, Muted: !aws.ToBool(enabled), Acts: len(actions) > 0,
		})
	}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, a := range page.MetricAlarms {
			add(a.AlarmName, a.AlarmDescription, a.StateValue, a.ActionsEnabled, a.AlarmActions)
		}
		for _, a := range page.CompositeAlarms {
			add(a.AlarmName, a.AlarmDescription, a.StateValue, a.ActionsEnabled, a.AlarmActions)
		}
	}
	g.o.LostAlarms = slices.Sorted(maps.Keys(missing))
	return nil
}

// readTopic reads who is told.
func (g accountReader) readTopic(ctx context.Context) error {
	topic := g.stack.Outputs[topicOutput]
	if topic == "" {
		return locale.Errorf("the stack has no output %s: it is older than this command", topicOutput)
	}
	g.o.Topic.ARN = topic
	pages := sns.NewListSubscriptionsByTopicPaginator(sns.NewFromConfig(g.stack.Config), &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, s := range page.Subscriptions {
			switch id := aws.ToString(s.SubscriptionArn); {
			case strings.HasPrefix(id, "arn:"):
				g.o.Topic.Confirmed++
			case id == "PendingConfirmation":
				g.o.Topic.Pending++
			}
		}
	}
	return nil
}

// readTriggers reads which of what starts the stack's work is on.
func (g accountReader) readTriggers(ctx context.Context) error {
	board := switchboard{stack: g.stack}
	g.o.Triggers = map[string]map[string]bool{}
	for part, names := range triggersOf {
		g.o.Triggers[part] = map[string]bool{}
		for _, name := range names {
			trigger, err := board.trigger(name)
			if err != nil {
				return err
			}
			on, err := trigger.Enabled(ctx)
			switch {
			case errors.Is(err, clibase.ErrGone):
				g.o.LostTriggers = append(g.o.LostTriggers, name)
			case err != nil:
				return err
			default:
				g.o.Triggers[part][name] = on
			}
		}
	}
	name := g.stack.Resources[localstack.Pauses]
	if name == "" { // of a version before pauses
		return nil
	}
	watch, err := g.stack.Schedule(localstack.Pauses)
	if err != nil {
		return err
	}
	on, err := watch.Enabled(ctx)
	switch {
	case errors.Is(err, clibase.ErrGone):
		g.o.LostTriggers = append(g.o.LostTriggers, localstack.Pauses)
	case err != nil:
		return err
	case !on:
		g.o.Unwatched = name
	}
	return nil
}
