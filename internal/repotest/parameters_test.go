package repotest_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// A person who deploys finds each parameter in a group, under a label, with a default,
// what it means, and what it may be.
func TestTemplate_ParametersExplainThemselves(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	parameters, _ := s.At("Parameters").(map[string]any)
	ui := []string{"Metadata", "AWS::CloudFormation::Interface"}
	grouped := map[string]int{}
	groups, _ := s.At(append(ui, "ParameterGroups")...).([]any)
	for _, g := range groups {
		names, _ := g.(map[string]any)["Parameters"].([]any)
		for _, name := range names {
			grouped[fmt.Sprint(name)]++
		}
	}
	labels, _ := s.At(append(ui, "ParameterLabels")...).(map[string]any)
	for name := range parameters {
		at := func(key string) any { return s.At("Parameters", name, key) }
		if grouped[name] != 1 || s.At(append(ui, "ParameterLabels", name, "default")...) == nil {
			t.Errorf("%s stands in %d groups, with the label %v", name, grouped[name], labels[name])
		}
		if at("Default") == nil || at("Description") == nil {
			t.Errorf("%s has no default or no description", name)
		}
		bounded := at("MinValue") != nil && at("MaxValue") != nil
		if at("AllowedPattern") == nil && at("AllowedValues") == nil && !bounded {
			t.Errorf("%s may be anything", name)
		}
		if pattern := at("AllowedPattern"); pattern != nil {
			allowed := regexp.MustCompile("^(?:" + fmt.Sprint(pattern) + ")$")
			for value := range strings.SplitSeq(fmt.Sprint(at("Default")), ",") {
				if !allowed.MatchString(value) {
					t.Errorf("%s does not allow its default %q", name, value)
				}
			}
		}
		if found := mentions(map[string]any{"g": s.At("Globals"), "r": s.At("Resources"), "c": s.At("Conditions"), "u": s.At("Rules")}, "", name); len(found) == 0 {
			t.Errorf("%s changes nothing", name)
		}
	}
	for _, names := range []map[string]bool{set(maps.Keys(grouped)), set(maps.Keys(labels))} {
		for name := range names {
			if parameters[name] == nil {
				t.Errorf("the interface names %s, which is no parameter", name)
			}
		}
	}
}

func set(names func(func(string) bool)) map[string]bool {
	all := map[string]bool{}
	for name := range names {
		all[name] = true
	}
	return all
}

// What only the code and its emulators have a reason to change.
var fixed = []string{
	"AWS_ENDPOINT_URL", "HIKYAKU_ALLOW_HOSTS", // empty: AWS, and guarded egress
	"HIKYAKU_MAPPING_FILE", // packaged beside the function
	"HIKYAKU_ROLE",
	"HIKYAKU_ROW_HOLD", "HIKYAKU_EXPORT_STOP_AHEAD", // follow the functions' time-outs
	"HIKYAKU_INSTANCES", // of reconcile: one
}

// Every setting that a shop may want to change is a parameter or a resource of the
// stack: nobody edits the template for it.
func TestTemplate_SettingsAreParameters(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	literal := map[string]bool{}
	for _, function := range localstack.Functions() {
		for _, at := range [][]string{{"Globals", "Function"}, {"Resources", localstack.Resource(function), "Properties"}} {
			variables, _ := s.At(append(at, "Environment", "Variables")...).(map[string]any)
			for name, v := range variables {
				if _, text := v.(string); text && name != "HIKYAKU_TOKENREFRESH_FUNCTION" {
					literal[name] = true
				}
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(literal)), slices.Sorted(slices.Values(fixed)); !slices.Equal(got, want) {
		t.Errorf("no parameter changes %v, want that of %v alone", got, want)
	}
}

// A shop's parameters lie in a file of its own, so that no upgrade changes a mode.
func TestSamconfig_HoldsNoShop(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for line := range strings.SplitSeq(read("samconfig.toml"), "\n") {
		for _, shops := range []string{"parameter_overrides", "stack_name", "region", "RelayMode"} {
			if !strings.HasPrefix(line, "#") && strings.Contains(line, shops) {
				t.Errorf("samconfig.toml: %s is a shop's: %s", shops, line)
			}
		}
	}
	if !slices.Contains(strings.Split(read(".gitignore"), "\n"), "/samconfig.*.toml") {
		t.Error("the file of a shop may be committed")
	}
	for _, page := range []string{"README.md", "README.ja.md", "docs/deploy.md", "docs/operate.md", "docs/runbook.md"} {
		if strings.Contains(read(page), "sam deploy --parameter-overrides") {
			t.Errorf("%s: what stands on the command line replaces all that stands in the file", page)
		}
	}
}
