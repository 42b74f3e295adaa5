package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	watchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"hikyaku/internal/cost"
	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
)

// A costAnswer is what 'cost' answers.
type costAnswer struct {
	Stack  string `json:"stack"`
	Region string `json:"region"`
	Month  string `json:"month"`

	cost.Bill

	Note string `json:"note"`
}

func newCost() *cobra.Command {
	var f stackFlags
	var o output
	var month string
	c := &cobra.Command{
		Use:   "cost",
		Short: "Say what a stack has cost this month, by part and by service",
		Long: "Reads what CloudWatch measures without charge: invocations of the functions and their duration, bytes of\n" +
			"their logs, webhooks, messages, executions, and the bytes in the bucket; and counts what is paid for each\n" +
			"month that it exists: secrets, alarms, dashboard. It multiplies them with the list prices of docs/cost.md,\n" +
			"in US dollars, without what is free, taxes or other regions' prices than Tokyo's and N. Virginia's. What AWS\n" +
			"counts for nobody, above all the requests to S3, is an estimate, and says so. A local stack counts since it\n" +
			"was started. The call itself costs less than a tenth of a cent. It is no invoice: AWS's Cost Explorer is.\n\n" +
			"With --json: stack, region, month, from, until, prices, lines (part, service, unit, quantity, usd, basis,\n" +
			"note), parts, services, usd, estimated, projected and note. basis is measured, fixed or estimated.",
		Example: "  hikyaku cost --stack hikyaku\n  hikyaku cost --month 2026-11 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			from, until, err := monthOf(month, time.Now().UTC())
			if err != nil {
				return err
			}
			if f.name("") == "" {
				return &usageError{locale.Errorf("cost needs the stack's name: --stack NAME (HIKYAKU_STACK)")}
			}
			e, err := f.environ(c, "", localstack.TokenRefresh)
			if err != nil {
				return err
			}
			base, err := clibase.Open(e)
			if err != nil {
				return err
			}
			reader := usageReader{stack: f.found, base: base}
			usage, err := reader.read(c.Context(), from, until)
			if err != nil {
				return locale.Errorf("reading what was used: %w", err)
			}
			prices, known := cost.In(f.found.Region)
			answer := costAnswer{
				Stack: f.found.Name, Region: f.found.Region, Month: from.Format("2006-01"), Bill: cost.Of(usage, prices),
				Note: locale.M("list prices without what is free; %.0f %% of it is estimated", percent(cost.Of(usage, prices))).String(),
			}
			if !known {
				answer.Note += locale.M("; the prices of this region are not known, those of %s were taken", prices.Region).String()
			}
			return o.print(c, answer, answer.write)
		},
	}
	f.addDeployed(c)
	o.add(c)
	c.Flags().StringVar(&month, "month", "", "the month, such as 2026-11, in UTC (default: this one, so far)")
	return c
}

// percent is how much of a bill is estimated.
func percent(b cost.Bill) float64 {
	if b.USD == 0 {
		return 0
	}
	return 100 * b.Estimated / b.USD
}

// kept is how long CloudWatch keeps what it has measured by the hour.
const kept = 455 * 24 * time.Hour

// monthOf is the time of a month until now; of this one, if it is empty.
func monthOf(text string, now time.Time) (from, until time.Time, err error) {
	from = time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	if text != "" {
		if from, err = time.Parse("2006-01", text); err != nil {
			return from, until, &usageError{locale.Errorf("--month %s: expected a month such as 2026-11", visible(text))}
		}
	}
	until = from.AddDate(0, 1, 0)
	switch {
	case from.After(now):
		return from, until, &usageError{locale.Errorf("--month %s: it has not begun yet", visible(text))}
	case now.Sub(from) > kept:
		return from, until, &usageError{locale.Errorf("--month %s: CloudWatch keeps what it has measured for 15 months", visible(text))}
	case until.After(now):
		until = now
	}
	return from, until, nil
}

// A usageReader reads what a stack has used.
type usageReader struct {
	stack *clibase.Stack
	base  *lambdafn.Base
}

// costParts says to which part of hikyaku a function belongs.
var costParts = map[string]string{
	localstack.TokenRefresh: cost.Tokens, localstack.Ingest: cost.Relay, localstack.Relay: cost.Relay, localstack.Reconcile: cost.Relay, localstack.Export: cost.Export,
}

// read asks for everything at once.
func (r usageReader) read(ctx context.Context, from, until time.Time) (cost.Usage, error) {
	u := cost.Usage{From: from, Until: until, Functions: make([]cost.Function, len(localstack.Functions())), NAT: r.stack.Parameters["EgressMode"] == "nat", Datasets: len(export.DatasetNames())}
	for _, kind := range r.stack.Types {
		switch kind {
		case "AWS::CloudWatch::Alarm":
			u.Alarms++
		case "AWS::CloudWatch::CompositeAlarm":
			u.Composites++
		case "AWS::CloudWatch::Dashboard":
			u.Dashboards++
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	sum := func(namespace, metric, dimension, value string, to *float64) {
		if value != "" {
			group.Go(func() error {
				return r.sum(ctx, dailyMetric{namespace, metric, map[string]string{dimension: value}, watchtypes.StatisticSum}, from, until, to)
			})
		}
	}
	for i, name := range localstack.Functions() {
		function := &u.Functions[i]
		function.Part = costParts[name]
		id := r.stack.Resources[localstack.Resource(name)]
		sum("AWS/Lambda", "Invocations", "FunctionName", id, &function.Invocations)
		sum("AWS/Lambda", "Duration", "FunctionName", id, &function.Milliseconds)
		sum("AWS/Logs", "IncomingBytes", "LogGroupName", r.stack.Resources[strings.TrimSuffix(localstack.Resource(name), "Function")+"Log"], &function.LogBytes)
		if id != "" {
			group.Go(func() error {
				var err error
				function.Megabytes, err = r.stack.Memory(ctx, id)
				return err
			})
		}
	}
	sum("AWS/ApiGateway", "Count", "ApiId", r.stack.Resources["WebhookApi"], &u.Requests)
	for resource, q := range map[string]*cost.Queue{"UserQueue": &u.Users, "DeadLetterQueue": &u.Dead} {
		url := r.stack.Resources[resource]
		name := url[strings.LastIndexByte(url, '/')+1:]
		sum("AWS/SQS", "NumberOfMessagesSent", "QueueName", name, &q.Sent)
		sum("AWS/SQS", "NumberOfMessagesReceived", "QueueName", name, &q.Received)
		sum("AWS/SQS", "NumberOfMessagesDeleted", "QueueName", name, &q.Deleted)
		sum("AWS/SQS", "NumberOfEmptyReceives", "QueueName", name, &q.Empty)
	}
	sum("AWS/States", "ExecutionsStarted", "StateMachineArn", r.stack.Resources["ReconcileLoop"], &u.Reconciles)
	sum("AWS/States", "ExecutionsStarted", "StateMachineArn", r.stack.Resources["ExportLoop"], &u.Exports)
	group.Go(func() error { return r.stored(ctx, from, until, &u.Stored) })
	group.Go(func() error { return r.secrets(ctx, &u) })
	return u, group.Wait()
}

// A dailyMetric is a metric that is asked for by the day.
type dailyMetric struct {
	namespace, name string
	dimensions      map[string]string
	statistic       watchtypes.Statistic
}

const aDay = 24 * time.Hour

func (r usageReader) points(ctx context.Context, m dailyMetric, from, until time.Time) ([]watchtypes.Datapoint, error) {
	shown, err := watcher(r.stack).GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: &m.namespace, MetricName: &m.name, Dimensions: dimensionsOf(m.dimensions), Statistics: []watchtypes.Statistic{m.statistic},
		StartTime: &from, EndTime: &until, Period: aws.Int32(int32(aDay.Seconds())),
	})
	if err != nil {
		return nil, err
	}
	return shown.Datapoints, nil
}

func (r usageReader) sum(ctx context.Context, m dailyMetric, from, until time.Time, to *float64) error {
	points, err := r.points(ctx, m, from, until)
	for _, p := range points {
		*to += aws.ToFloat64(p.Sum)
	}
	return err
}

// stored reads how much lies in the bucket, which AWS measures once a day.
func (r usageReader) stored(ctx context.Context, from, until time.Time, to *float64) error {
	bucket := r.base.Common.Bucket
	m := dailyMetric{"AWS/S3", "BucketSizeBytes", map[string]string{"BucketName": bucket, "StorageType": "StandardStorage"}, watchtypes.StatisticMaximum}
	points, err := r.points(ctx, m, from, until)
	for _, p := range points {
		*to += aws.ToFloat64(p.Maximum) / float64(len(points))
	}
	return err
}

// secrets counts the stack's secrets, and the providers that are connected.
func (r usageReader) secrets(ctx context.Context, u *cost.Usage) error {
	prefix := r.base.Common.Prefix
	there := func(name string) (bool, error) {
		_, err := r.base.Secrets.Describe(ctx, name)
		if errors.Is(err, secretstore.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
	for _, provider := range providers.Names() {
		for _, part := range []string{secretstore.ConnectionPart, secretstore.TokenPart, secretstore.RefreshPart} {
			is, err := there(secretstore.Name(prefix, provider, part))
			if err != nil {
				return err
			}
			if is {
				u.Secrets++
			}
			if is && part == secretstore.ConnectionPart {
				u.Providers++
			}
		}
	}
	for _, name := range []string{webhooksecret.Name(prefix), secretstore.Name(prefix, "export", "hmac")} {
		is, err := there(name)
		if err != nil {
			return err
		}
		if is {
			u.Secrets++
		}
	}
	return nil
}

func (a costAnswer) write(out io.Writer) error {
	say(out, "%s in %s, %s until %s, prices of %s.", a.Stack, a.Region, a.Month, a.Until.Format(time.RFC3339), a.Prices)
	rows := make([][]string, 0, len(a.Lines))
	for _, l := range a.Lines {
		rows = append(rows, []string{l.Part, l.Service, l.Unit, quantity(l.Quantity), fmt.Sprintf("$%.4f", l.USD), string(l.Basis), l.Note})
	}
	if err := writeTable(out, []string{"PART", "SERVICE", "UNIT", "QUANTITY", "USD", "BASIS", "NOTE"}, rows); err != nil {
		return err
	}
	said := make([]string, 0, len(a.Parts))
	for _, part := range []string{cost.Tokens, cost.Relay, cost.Export, cost.Shared} {
		if usd, has := a.Parts[part]; has {
			said = append(said, fmt.Sprintf("%s $%.2f", part, usd))
		}
	}
	say(out, "So far $%.2f: %s. The whole month, if it goes on so: $%.2f.", a.USD, strings.Join(slices.Clip(said), ", "), a.Projected)
	say(out, "These are list prices without what is free; $%.2f of it is estimated.", a.Estimated)
	return nil
}

// quantity shows a number with as many places as say something.
func quantity(n float64) string {
	if n >= 100 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.3g", n)
}
