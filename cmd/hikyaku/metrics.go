package main

import (
	"context"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	watchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
)

// metricsPeriod is how long each row of the metrics is.
const metricsPeriod = 5 * time.Minute

// metricsFlags are the flags of the metrics command.
type metricsFlags struct {
	stack stackFlags
	last  span
	output
}

// A metricsRow is what the relay did in one period.
type metricsRow struct {
	At       time.Time `json:"at"`       // its beginning
	Webhooks float64   `json:"webhooks"` // events of users that were taken
	Runs     float64   `json:"runs"`     // invocations of the relay, each of up to ten messages
	Lag      *float64  `json:"lag"`      // seconds from webhook to member, at most; null: nothing ended
	Waiting  *float64  `json:"waiting"`  // messages in the users' queue, at most; null: not measured
	Dead     *float64  `json:"dead"`     // in the dead-letter queue
}

func newMetrics() *cobra.Command {
	f := metricsFlags{last: span(3 * time.Hour)}
	c := &cobra.Command{
		Use:   "metrics",
		Short: "Show what the relay has done lately, from the stack's metrics",
		Long: "Asks CloudWatch for the relay's last hours, in periods of five minutes: webhooks that were taken, how\n" +
			"often the relay ran, the longest time from a webhook to its member in seconds, and the most messages\n" +
			"that waited and that were given up. CloudWatch tells a measurement a few minutes late, so the newest\n" +
			"periods may grow. Each look is five requests. Times are UTC.",
		Example: "  hikyaku metrics --stack hikyaku\n  hikyaku metrics --last 1d --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return f.show(c)
		},
	}
	f.stack.addDeployed(c)
	f.add(c)
	c.Flags().Var(&f.last, "last", "how far back, such as 90m, 8h or 2d")
	return c
}

func (f *metricsFlags) show(c *cobra.Command) error {
	if last := time.Duration(f.last); last < metricsPeriod || last > 5*24*time.Hour {
		return &usageError{locale.Errorf("--last %s: from 5m to 5d, which CloudWatch tells in periods of five minutes", &f.last)}
	}
	if _, err := f.stack.environ(c, "", localstack.Relay); err != nil {
		return err
	}
	if f.stack.found == nil {
		return &usageError{locale.Errorf("--stack NAME or HIKYAKU_STACK is missing: metrics are of a deployed stack")}
	}
	rows, err := relayMetrics(c.Context(), f.stack.found, f.stack.now(), time.Duration(f.last))
	if err != nil {
		return err
	}
	return f.print(c, map[string]any{"rows": rows}, func(out io.Writer) error { return writeMetrics(out, rows) })
}

// relayMetrics asks for each metric of the relay, and puts what was measured in one period
// into one row.
func relayMetrics(ctx context.Context, s *clibase.Stack, now time.Time, last time.Duration) ([]metricsRow, error) {
	rows := map[time.Time]*metricsRow{}
	row := func(at time.Time) *metricsRow {
		if rows[at] == nil {
			rows[at] = &metricsRow{At: at}
		}
		return rows[at]
	}
	queue := func(resource string) map[string]string {
		url := s.Resources[resource]
		return map[string]string{"QueueName": url[strings.LastIndexByte(url, '/')+1:]}
	}
	const visible = "ApproximateNumberOfMessagesVisible"
	for _, m := range []struct {
		namespace, name string
		dimensions      map[string]string
		statistic       watchtypes.Statistic
		keep            func(at time.Time, value float64)
	}{
		{"Hikyaku", "WebhookAccepted", map[string]string{"object": "user", "stack": s.Name}, watchtypes.StatisticSum, func(at time.Time, v float64) { row(at).Webhooks = v }},
		{"AWS/Lambda", "Invocations", map[string]string{"FunctionName": s.Resources[localstack.Resource(localstack.Relay)]}, watchtypes.StatisticSum, func(at time.Time, v float64) { row(at).Runs = v }},
		{"Hikyaku", "RelayLag", map[string]string{"stack": s.Name}, watchtypes.StatisticMaximum, func(at time.Time, v float64) { row(at).Lag = &v }},
		{"AWS/SQS", visible, queue("UserQueue"), watchtypes.StatisticMaximum, func(at time.Time, v float64) { row(at).Waiting = &v }},
		{"AWS/SQS", visible, queue("DeadLetterQueue"), watchtypes.StatisticMaximum, func(at time.Time, v float64) { row(at).Dead = &v }},
	} {
		in := &cloudwatch.GetMetricStatisticsInput{
			Namespace: &m.namespace, MetricName: &m.name, Dimensions: dimensionsOf(m.dimensions), Statistics: []watchtypes.Statistic{m.statistic},
			StartTime: aws.Time(now.Add(-last).Truncate(metricsPeriod)), EndTime: &now, Period: aws.Int32(int32(metricsPeriod.Seconds())),
		}
		shown, err := watcher(s).GetMetricStatistics(ctx, in)
		if err != nil {
			return nil, locale.Errorf("asking CloudWatch for %s: %w", m.name, clibase.Plain(err))
		}
		for _, p := range shown.Datapoints {
			value := aws.ToFloat64(p.Maximum)
			if m.statistic == watchtypes.StatisticSum {
				value = aws.ToFloat64(p.Sum)
			}
			m.keep(aws.ToTime(p.Timestamp).UTC(), value)
		}
	}
	sorted := make([]metricsRow, 0, len(rows))
	for _, at := range slices.SortedFunc(maps.Keys(rows), time.Time.Compare) {
		sorted = append(sorted, *rows[at])
	}
	return sorted, nil
}

// dimensionsOf are dimensions as CloudWatch takes them.
func dimensionsOf(values map[string]string) []watchtypes.Dimension {
	dimensions := make([]watchtypes.Dimension, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		dimensions = append(dimensions, watchtypes.Dimension{Name: aws.String(name), Value: aws.String(values[name])})
	}
	return dimensions
}

func writeMetrics(out io.Writer, rows []metricsRow) error {
	if len(rows) == 0 {
		say(out, "Nothing was measured in this time.")
		return nil
	}
	shown := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return strconv.FormatFloat(*v, 'f', -1, 64)
	}
	cells := make([][]string, 0, len(rows))
	for _, r := range rows {
		cells = append(cells, []string{at(r.At), shown(&r.Webhooks), shown(&r.Runs), shown(r.Lag), shown(r.Waiting), shown(r.Dead)})
	}
	return writeTable(out, []string{"FROM", "WEBHOOKS", "RUNS", "LAG, S", "WAITING", "DEAD"}, cells)
}
