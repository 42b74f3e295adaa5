package repotest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/prove"
)

// docs/privacy.md tells of every place in which the template lets data lie: each prefix
// of the bucket that a function may use, each queue, and each parameter that says how long.
func TestPrivacy_NamesEveryPlace(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "privacy.md"))
	if err != nil {
		t.Fatal(err)
	}
	s := prove.ReadTemplate(t, root)
	for _, place := range places(s) {
		if !strings.Contains(string(page), "`"+place) {
			t.Errorf("docs/privacy.md says nothing of %s", place)
		}
	}
	if found := places(s); !slices.Contains(found, "exports/") || !slices.Contains(found, "STACK-dead.fifo") || !slices.Contains(found, "OldVersionDays") {
		t.Errorf("the template's places are %v: they are not looked for well", found)
	}
}

// beneath finds the folder below the stack's prefix, of state the one below that.
var beneath = regexp.MustCompile(`\$\{Prefix\}/((?:state/)?[a-z]+/)`)

// places are where the template lets data lie, as the page writes them.
func places(s prove.Template) (names []string) {
	for _, resource := range s.Resources("AWS::IAM::Role") {
		for _, folder := range beneath.FindAllStringSubmatch(objects(s.Statements(resource)), -1) {
			names = append(names, folder[1])
		}
	}
	for _, resource := range s.Resources("AWS::SQS::Queue") {
		name := fmt.Sprint(s.At("Resources", resource, "Properties", "QueueName", "Sub"))
		names = append(names, strings.Replace(name, "${AWS::StackName}", "STACK", 1))
	}
	parameters, _ := s.At("Parameters").(map[string]any)
	for name := range parameters {
		if strings.HasSuffix(name, "RetentionDays") || name == "OldVersionDays" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// objects are the keys that statements let somebody read or write.
func objects(statements []map[string]any) string {
	var keys []string
	for _, statement := range statements {
		if strings.Contains(fmt.Sprint(statement["Action"]), "s3:") {
			keys = append(keys, fmt.Sprint(statement["Resource"]))
		}
	}
	return strings.Join(keys, " ")
}
