package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A widget is one of the dashboard's, as CloudWatch writes it down.
type widget struct {
	Type       string         `json:"type"`
	X          int            `json:"x"`
	Y          int            `json:"y"`
	Width      int            `json:"width"`
	Height     int            `json:"height"`
	Properties map[string]any `json:"properties"`
}

// graph shows metrics: lists of namespace, metric, dimensions, or searches.
func graph(title, statistic string, metrics ...any) map[string]any {
	return map[string]any{"title": title, "stat": statistic, "period": 300, "region": "${AWS::Region}", "view": "timeSeries", "metrics": metrics}
}

// search finds what a metric of the functions measures for each value of its dimensions.
func search(metric, statistic string, dimensions ...string) any {
	return []any{map[string]string{
		"expression": fmt.Sprintf(`SEARCH('{%s,%s} stack="${AWS::StackName}" MetricName="%s"', '%s', 300)`, own, strings.Join(append(dimensions, "stack"), ","), metric, statistic),
	}}
}

func measured(metric string) []any { return []any{own, metric, "stack", "${AWS::StackName}"} }

func ofQueue(metric, queue string) []any {
	return []any{"AWS/SQS", metric, "QueueName", "${" + queue + ".QueueName}"}
}

func ofAPI(metric string) []any { return []any{"AWS/ApiGateway", metric, "ApiId", "${WebhookApi}"} }

func ofFunctions(metric string) (all []any) {
	for _, name := range []string{"TokenRefreshFunction", "WebhookRelayIngestFunction", "WebhookRelayRelayFunction", "WebhookRelayReconcileFunction", "ExportFunction"} {
		all = append(all, []any{"AWS/Lambda", metric, "FunctionName", "${" + name + "}"})
	}
	return all
}

// dashboard is what an operator looks at first: who is affected, then why.
func dashboard() (string, error) {
	arns := []string{"${RefreshStoppedAlarm.Arn}", "${WebhookRefusedAlarm.Arn}"}
	for _, a := range append(ages(), alarms...) {
		if !a.Silent {
			arns = append(arns, "${"+a.Name+".Arn}")
		}
	}
	panels := []struct {
		kind       string
		properties map[string]any
	}{
		{"alarm", map[string]any{"title": "Alarms", "alarms": arns}},
		{"metric", graph("Webhooks", "Sum", ofAPI("Count"), ofAPI("4xx"), ofAPI("5xx"))},
		{"metric", graph("How users ended", "Sum", search("RelayOutcome", "Sum", "outcome"))},
		{"metric", graph("From webhook to member, seconds, 95 of 100", "p95", measured("RelayLag"))},
		{"metric", graph("Messages that wait, and were given up", "Maximum", ofQueue("ApproximateNumberOfMessagesVisible", "UserQueue"), ofQueue("ApproximateNumberOfMessagesVisible", "DeadLetterQueue"))},
		{"metric", graph("Age of the oldest message, seconds", "Maximum", ofQueue("ApproximateAgeOfOldestMessage", "UserQueue"))},
		{"metric", graph("Life of tokens, seconds", "Minimum", search("SecondsToExpiry", "Minimum", "provider"))},
		{"metric", graph("Age of exports, seconds", "Maximum", search("ExportAge", "Maximum", "dataset", "provider"))},
		{"metric", graph("Exported rows", "Sum", search("ExportRows", "Sum", "dataset", "provider"))},
		{"metric", graph("Differences that reconcile found", "Sum", search("ReconcileDifferences", "Sum", "kind"))},
		{"metric", graph("Errors of the functions", "Sum", ofFunctions("Errors")...)},
		{"metric", graph("Throttled invocations", "Sum", ofFunctions("Throttles")...)},
	}
	const columns, width, height = 2, 12, 6
	var b strings.Builder
	for i, p := range panels {
		text, err := json.Marshal(widget{p.kind, i % columns * width, i / columns * height, width, height, p.properties})
		if err != nil {
			return "", err
		}
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "        %s", text)
	}
	return "  Dashboard:\n    Type: AWS::CloudWatch::Dashboard\n    Properties:\n" +
		"      # A name is of the whole account, in every region.\n" +
		"      DashboardName: !Sub \"${AWS::StackName}-${AWS::Region}\"\n" +
		"      DashboardBody: !Sub |\n        {\"widgets\": [\n" + b.String() + "\n        ]}\n", nil
}
