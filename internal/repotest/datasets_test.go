package repotest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/sandbox"
)

// A mention is one place that must name every dataset.
type mention struct {
	where string
	names func(dataset string) bool
}

// contains reads a file of the repository for the form in which it names a
// dataset.
func contains(t *testing.T, file string, form func(dataset string) string) mention {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return mention{file, func(dataset string) bool { return strings.Contains(string(text), form(dataset)) }}
}

// A dataset that is added to the registry is told of everywhere else; what was
// forgotten is named.
func TestDatasets_AreEverywhere(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	places := []mention{
		{"ExportDatasets of template.yaml", func(d string) bool {
			return slices.Contains(strings.Split(fmt.Sprint(s.At("Parameters", "ExportDatasets", "Default")), ","), d)
		}},
		{"a Glue table of template.yaml", func(d string) bool { return slices.Contains(tables(s), d) }},
		{"an alarm on ExportAge of template.yaml", func(d string) bool { return slices.Contains(ageAlarms(s), d) }},
		{"the role of ExportFunction, which reads its provider's token", func(d string) bool {
			return reaches(fmt.Sprint(s.Statements(role(localstack.Export))), "/"+provider(d)+"/token")
		}},
		{"rate and share of its provider in the environment of ExportFunction", func(d string) bool {
			vars, name := s.Variables(localstack.Resource(localstack.Export)), "HIKYAKU_"+strings.ToUpper(provider(d))
			return vars[name+"_RATE"] != "" && vars[name+"_SHARE"] != ""
		}},
		{"its provider's sandbox, whose dump has no such records", held},
		{"events/export, an event that extracts it", func(d string) bool {
			_, err := os.Stat(filepath.Join(root, "events", "export", "extract-"+strings.ReplaceAll(d, "/", "-")+".json"))
			return err == nil
		}},
		contains(t, "docs/export-format.md", func(d string) string { return "| `" + d + "` |" }),
		contains(t, "README.md", func(d string) string { return "`" + d + "`" }),
		contains(t, "README.ja.md", func(d string) string { return "`" + d + "`" }),
		contains(t, "scripts/compareexport/main.go", func(d string) string { return `"` + d + `"` }),
	}
	for _, d := range export.Datasets() {
		for _, p := range places {
			if !p.names(d.String()) {
				t.Errorf("%s is forgotten in %s", d, p.where)
			}
		}
	}
	for _, p := range places {
		if p.names("nobody/nothing") {
			t.Errorf("%s seems to name a dataset that there is not", p.where)
		}
	}
}

// What the template names beside the registry is no dataset any more.
func TestDatasets_AreNoMoreThanTheRegistrys(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	var names []string
	for _, d := range export.Datasets() {
		names = append(names, d.String())
	}
	if got := s.At("Parameters", "ExportDatasets", "Default"); got != strings.Join(names, ",") {
		t.Errorf("ExportDatasets is %v, want %v in this order", got, names)
	}
	for what, list := range map[string][]string{"a Glue table": tables(s), "an alarm on ExportAge": ageAlarms(s)} {
		if slices.Sort(list); len(slices.Compact(slices.Clone(list))) != len(list) {
			t.Errorf("%s twice: %v", what, list)
		}
		for _, name := range list {
			if !slices.Contains(names, name) {
				t.Errorf("template.yaml has %s for %q", what, name)
			}
		}
	}
}

func provider(dataset string) string {
	name, _, _ := strings.Cut(dataset, "/")
	return name
}

// tables are the datasets over whose files the template's tables lie.
func tables(s prove.Template) []string {
	var names []string
	for _, resource := range s.Resources("AWS::Glue::Table") {
		input := []string{"Resources", resource, "Properties", "TableInput"}
		location := fmt.Sprint(s.At(append(input, "StorageDescriptor", "Location", "Sub")...))
		name := strings.TrimSuffix(location[strings.Index(location, "/athena/")+len("/athena/"):], "/")
		if fmt.Sprint(s.At(append(input, "Name")...)) == strings.ReplaceAll(name, "/", "_") {
			names = append(names, name)
		}
	}
	return names
}

// ageAlarms are the datasets whose age an alarm watches.
func ageAlarms(s prove.Template) []string {
	var names []string
	for _, resource := range s.Resources("AWS::CloudWatch::Alarm") {
		if s.At("Resources", resource, "Properties", "MetricName") != "ExportAge" {
			continue
		}
		of := map[string]string{}
		dimensions, _ := s.At("Resources", resource, "Properties", "Dimensions").([]any)
		for _, d := range dimensions {
			pair, _ := d.(map[string]any)
			of[fmt.Sprint(pair["Name"])] = fmt.Sprint(pair["Value"])
		}
		names = append(names, of["provider"]+"/"+of["dataset"])
	}
	return names
}

// held reports whether a provider's sandbox has records of a dataset.
func held(dataset string) bool {
	name, list, _ := strings.Cut(dataset, "/")
	sandbox := localstack.NewSandbox(name, sandbox.Options{Records: 3})
	var raw bytes.Buffer
	if sandbox == nil || sandbox.Dump(&raw) != nil {
		return false
	}
	var lists map[string]json.RawMessage
	var records []json.RawMessage
	return json.Unmarshal(raw.Bytes(), &lists) == nil && json.Unmarshal(lists[list], &records) == nil && len(records) > 0
}
