package repotest_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/prove"
)

var metricName = regexp.MustCompile(`MetricName="(\w+)"`)

// What alarms and the dashboard watch of the functions' metrics, the functions measure.
func TestTemplate_WatchesWhatIsMeasured(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	watched := map[string]string{}
	for _, alarm := range s.Resources("AWS::CloudWatch::Alarm") {
		if s.At("Resources", alarm, "Properties", "Namespace") == "Hikyaku" {
			watched[fmt.Sprint(s.At("Resources", alarm, "Properties", "MetricName"))] = alarm
		}
	}
	body := fmt.Sprint(s.At("Resources", "Dashboard", "Properties", "DashboardBody", "Sub"))
	var dashboard struct {
		Widgets []struct {
			Type       string
			Properties struct {
				Alarms  []string
				Metrics [][]any
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &dashboard); err != nil {
		t.Fatalf("the dashboard is no JSON: %v", err)
	}
	var shown []string
	for _, w := range dashboard.Widgets {
		shown = append(shown, w.Properties.Alarms...)
		if w.Type == "metric" && len(w.Properties.Metrics) == 0 {
			t.Error("a graph shows nothing")
		}
		for _, m := range w.Properties.Metrics {
			if m[0] == "Hikyaku" {
				watched[fmt.Sprint(m[1])] = "the dashboard"
			}
			for _, found := range metricName.FindAllStringSubmatch(fmt.Sprint(m), -1) {
				watched[found[1]] = "the dashboard"
			}
		}
	}
	if len(watched) < 10 {
		t.Errorf("only %v are watched", watched)
	}
	var code strings.Builder
	for _, f := range sources(t) {
		if !f.test && strings.HasPrefix(f.path, "internal/") {
			code.WriteString(f.text)
		}
	}
	for metric, by := range watched {
		if !strings.Contains(code.String(), `"`+metric+`"`) {
			t.Errorf("%s watches %s, which nothing measures", by, metric)
		}
	}
	for _, alarm := range slices.Concat(s.Resources("AWS::CloudWatch::Alarm"), s.Resources("AWS::CloudWatch::CompositeAlarm")) {
		if s.At("Resources", alarm, "Properties", "AlarmActions") != nil && !slices.Contains(shown, "${"+alarm+".Arn}") {
			t.Errorf("the dashboard does not show %s", alarm)
		}
	}
}

// Saved queries look into log groups of this stack, and lie in a folder of its name.
func TestTemplate_QueriesAreOfTheStack(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	groups := s.Resources("AWS::Logs::LogGroup")
	queries := s.Resources("AWS::Logs::QueryDefinition")
	if len(queries) < 6 {
		t.Errorf("queries %v", queries)
	}
	for _, query := range queries {
		if name := fmt.Sprint(s.At("Resources", query, "Properties", "Name", "Sub")); !strings.HasPrefix(name, "${AWS::StackName}/") {
			t.Errorf("%s is saved as %s", query, name)
		}
		named, _ := s.At("Resources", query, "Properties", "LogGroupNames").([]any)
		for _, group := range named {
			of, _ := group.(map[string]any)
			if !slices.Contains(groups, fmt.Sprint(of["Ref"])) {
				t.Errorf("%s looks into %v", query, group)
			}
		}
		if len(named) == 0 {
			t.Errorf("%s looks into nothing", query)
		}
	}
}
