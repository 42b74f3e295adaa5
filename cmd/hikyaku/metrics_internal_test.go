package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/localstack"
)

func TestMetrics_PutsWhatWasMeasuredInOnePeriodIntoOneRow(t *testing.T) {
	stack, err := localstack.Start(t.Context(), localstack.Options{Mapping: "../../config/mapping.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	period := now.Add(-20 * time.Minute).Truncate(metricsPeriod)
	measure := func(namespace, metric string, value float64, dimensions map[string]string) {
		stack.AWS.Told.Measure(awslocal.Point{Namespace: namespace, Metric: metric, Dimensions: dimensions, At: period.Add(time.Minute), Value: value})
	}
	mine := map[string]string{"stack": localstack.Name}
	measure("Hikyaku", "RelayLag", 2, mine)
	measure("Hikyaku", "RelayLag", 7, mine)
	measure("Hikyaku", "RelayLag", 900, map[string]string{"stack": "another"})
	measure("Hikyaku", "WebhookAccepted", 3, map[string]string{"object": "user", "stack": localstack.Name})
	measure("Hikyaku", "WebhookAccepted", 4, map[string]string{"object": "user", "stack": localstack.Name})
	measure("AWS/SQS", "ApproximateNumberOfMessagesVisible", 5, map[string]string{"QueueName": localstack.Queue})
	measure("AWS/SQS", "ApproximateNumberOfMessagesVisible", 1, map[string]string{"QueueName": localstack.DeadLetter})
	measure("AWS/Lambda", "Invocations", 6, map[string]string{"FunctionName": localstack.Relay})
	config := aws.Config{Region: awslocal.Region, BaseEndpoint: &stack.AWS.URL, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}
	found, err := clibase.FindStack(t.Context(), config, localstack.Name)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := relayMetrics(t.Context(), found, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := writeMetrics(&out, rows); err != nil {
		t.Fatal(err)
	}
	want := period.Format("2006-01-02T15:04:05Z") + " 7 6 7 5 1"
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(rows) != 1 || strings.Join(strings.Fields(lines[len(lines)-1]), " ") != want {
		t.Errorf("the rows are\n%s, want one: %s", out.String(), want)
	}
	if rows, err = relayMetrics(t.Context(), found, now, 10*time.Minute); err != nil || len(rows) != 0 {
		t.Errorf("of the last ten minutes there are %d rows, %v", len(rows), err)
	}
}
