package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hikyaku/internal/export"
)

// An alarm rings on one metric. Its description begins with the severity.
type alarm struct {
	Comment    string // above it, for those who read the template
	Name       string // logical; the runbook has an entry of this name
	Severity   severity
	Says       string // the rest of the description
	Namespace  string // empty: Hikyaku
	Metric     string
	Dimensions []dimension
	Statistic  string
	Period     int // seconds
	Periods    int // 0: 1
	Compare    comparison
	Threshold  int
	Missing    string // what no data means; empty: nothing is wrong
	Silent     bool   // a part of a composite alarm, which tells people in its place
}

// A dimension's value is YAML.
type dimension struct{ name, value string }

type severity string

// How soon to act.
const (
	critical severity = "Critical"
	high     severity = "High"
	warning  severity = "Warning"
)

type comparison string

const (
	above   comparison = "GreaterThanThreshold"
	atLeast comparison = "GreaterThanOrEqualToThreshold"
	below   comparison = "LessThanThreshold"
)

const own = "Hikyaku" // the namespace of the functions' metrics

func (a alarm) resource() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for text := range strings.SplitSeq(a.Comment, "\n") {
		if text != "" {
			line("  # %s", text)
		}
	}
	line("  %s:", a.Name)
	line("    Type: AWS::CloudWatch::Alarm")
	line("    Properties:")
	line("      AlarmDescription: %q", string(a.Severity)+": "+a.Says)
	line("      Namespace: %s", cmp.Or(a.Namespace, own))
	line("      MetricName: %s", a.Metric)
	dimensions := a.Dimensions
	if a.Namespace == "" { // of the functions, which name their stack in each metric
		dimensions = append(slices.Clone(dimensions), dimension{"stack", "!Ref AWS::StackName"})
	}
	pairs := make([]string, 0, len(dimensions))
	for _, d := range dimensions {
		pairs = append(pairs, fmt.Sprintf("{Name: %s, Value: %s}", d.name, d.value))
	}
	line("      Dimensions: [%s]", strings.Join(pairs, ", "))
	kind := "Statistic"
	if strings.HasPrefix(a.Statistic, "p") {
		kind = "ExtendedStatistic"
	}
	line("      %s: %s", kind, a.Statistic)
	line("      Period: %d", a.Period)
	line("      EvaluationPeriods: %d", max(a.Periods, 1))
	line("      ComparisonOperator: %s", a.Compare)
	line("      Threshold: %d", a.Threshold)
	line("      TreatMissingData: %s", cmp.Or(a.Missing, "notBreaching"))
	if !a.Silent {
		b.WriteString(actions)
	}
	return b.String()
}

const actions = `      AlarmActions: [!If [OwnTopic, !Ref PeopleTopic, !Ref AlarmTopic]]
      OKActions: [!If [OwnTopic, !Ref PeopleTopic, !Ref AlarmTopic]]
`

// refused compares what came with what reached the function: the rest was answered by
// API Gateway alone, with 429 or 404, and SuperSaaS is not known to send it again.
const refused = `  WebhookRefusedAlarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmDescription: "High: more than 20 webhooks in five minutes did not reach the function, too many at once or with a wrong address; the next reconcile repairs what they would have told"
      Metrics:
        - {Id: refused, Expression: "came - FILL(reached, 0)", Label: did not reach the function}
        - Id: came
          ReturnData: false
          MetricStat:
            Metric: {Namespace: AWS/ApiGateway, MetricName: Count, Dimensions: [{Name: ApiId, Value: !Ref WebhookApi}]}
            Stat: Sum
            Period: 300
        - Id: reached
          ReturnData: false
          MetricStat:
            Metric: {Namespace: AWS/Lambda, MetricName: Invocations, Dimensions: [{Name: FunctionName, Value: !Ref WebhookRelayIngestFunction}]}
            Stat: Sum
            Period: 300
      EvaluationPeriods: 1
      ComparisonOperator: GreaterThanThreshold
      Threshold: 20
      TreatMissingData: notBreaching
` + actions

// silence is composed of three alarms that stand before it.
const silence = `  RefreshStoppedAlarm:
    Type: AWS::CloudWatch::CompositeAlarm
    Properties:
      AlarmDescription: "Critical: nobody has looked at the tokens for 15 minutes"
      AlarmRule: !Sub 'INSUFFICIENT_DATA("${RefreshTicksAlarm}") AND OK("${RefreshTickedBeforeAlarm}") AND NOT ALARM("${TokensPausedAlarm}")'
` + actions

// ages watch the age of each dataset's newest complete export.
func ages() []alarm {
	datasets := export.Datasets()
	all := make([]alarm, 0, len(datasets))
	for i, d := range datasets {
		a := alarm{
			Name: "ExportAge" + logical(d) + "Alarm", Severity: high,
			Says:   fmt.Sprintf("the newest complete export of %s ends more than 36 hours ago", d),
			Metric: "ExportAge", Dimensions: []dimension{{"provider", d.Provider}, {"dataset", d.Name}},
			Statistic: "Maximum", Period: 3600, Compare: above, Threshold: 129600, Missing: "ignore",
		}
		if i == 0 {
			a.Comment = "Measured by each run, so that a dataset of a provider without a connection has\nno alarm, and one that is in alarm stays so until a run says otherwise."
		}
		all = append(all, a)
	}
	return all
}

// alarmResources are all alarms, the ages of exports with those of exports.
func alarmResources() string {
	var b strings.Builder
	for _, a := range alarms {
		if a.Name == "RefreshErrorsAlarm" {
			for _, age := range ages() {
				b.WriteString(age.resource())
			}
		}
		b.WriteString(a.resource())
		if a.Name == "IngestFailuresAlarm" {
			b.WriteString(refused)
		}
		if a.Name == "TokensPausedAlarm" {
			b.WriteString(silence)
		}
	}
	return b.String()
}
