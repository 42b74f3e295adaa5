package doctor_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/doctor"
	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/tenant"
)

const root = "../.."

var row = regexp.MustCompile("(?m)^\\| `([a-z.-]+)` \\| (\\w+) \\| (.+) \\| (.+) \\|$")

// The runbook explains each finding, and no other.
func TestKinds_AreInTheRunbook(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Findings of doctor\n")
	if !found {
		t.Fatal("the runbook has no section on findings")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var told []string
	for _, r := range row.FindAllStringSubmatch(section, -1) {
		told = append(told, r[1]+" "+r[2])
	}
	var known []string
	for _, k := range doctor.Kinds() {
		known = append(known, k.ID+" "+string(k.Severity))
	}
	if len(known) < 40 {
		t.Errorf("%d kinds", len(known))
	}
	for _, id := range known {
		if !slices.Contains(told, id) {
			t.Errorf("the runbook has no row for %s", id)
		}
	}
	for _, id := range told {
		if !slices.Contains(known, id) {
			t.Errorf("the runbook explains %s, which doctor does not find", id)
		}
	}
	if len(told) != len(known) {
		t.Errorf("%d rows for %d kinds", len(told), len(known))
	}
}

// The parameters are those of the template, and each is handed on under the name that
// stands there.
func TestParameters_AreTheTemplates(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	variables := map[string]string{} // by parameter
	collect := func(path ...string) {
		vars, _ := s.At(path...).(map[string]any)
		for name, value := range vars {
			if ref, ok := value.(map[string]any); ok && !strings.HasSuffix(name, "_SHARE") {
				variables[fmt.Sprint(ref["Ref"])] = name
			}
		}
	}
	collect("Globals", "Function", "Environment", "Variables")
	for _, function := range s.Resources("AWS::Serverless::Function") {
		collect("Resources", function, "Properties", "Environment", "Variables")
	}
	declared, _ := s.At("Parameters").(map[string]any)
	known := map[string]bool{}
	for _, p := range doctor.Parameters() {
		known[p.Name] = true
		if declared[p.Name] == nil {
			t.Errorf("the template has no parameter %s", p.Name)
		}
		if p.Variable != variables[p.Name] {
			t.Errorf("%s is handed on as %q, not %q", p.Name, variables[p.Name], p.Variable)
		}
	}
	for name := range declared {
		if !known[name] {
			t.Errorf("%s is not among the parameters", name)
		}
	}
}

// An alarm without actions says of which other one it is a part, and no other does.
func TestPartOfAnother_IsWhatTheTemplateSays(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	parts := 0
	for _, kind := range []string{"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"} {
		for _, name := range s.Resources(kind) {
			part := strings.Contains(fmt.Sprint(s.At("Resources", name, "Properties", "AlarmDescription")), doctor.PartOfAnother)
			if silent := s.At("Resources", name, "Properties", "AlarmActions") == nil; silent != part {
				t.Errorf("%s has no action: %v; its description says so: %v", name, silent, part)
			}
			if part {
				parts++
			}
		}
	}
	if parts < 2 {
		t.Errorf("%d parts", parts)
	}
}

// What customers can edit is what the relay says.
func TestUnconfirmed_IsTheRelaysRule(t *testing.T) {
	t.Parallel()
	for _, field := range tenant.IdentityFields() {
		vars := map[string]string{"HIKYAKU_IDENTITY": field, "HIKYAKU_IDENTITY_PREFIX": "ss-"}
		want := ""
		if slices.Contains(tenant.EditableFields(), field) {
			want = "settings.identity-editable"
		}
		if got := doctor.Unconfirmed(vars); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
}

// What could not be read is said, hides nothing else, and was not checked.
func TestExamine_SaysWhatIsUnread(t *testing.T) {
	t.Parallel()
	o := doctor.Observations{
		Now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Place: doctor.Place{Stack: "shop", Hikyaku: "--stack shop", AWS: "--region r"},
		Unread: map[doctor.Source]string{doctor.FromAlarms: "AccessDenied: no"}, Skipped: map[doctor.Source]bool{doctor.FromHooks: true},
		DeadLetters: 2, Status: "CREATE_COMPLETE",
	}
	var ids []string
	for _, f := range doctor.Examine(o) {
		ids = append(ids, f.ID)
		if f.Message == "" || f.Next == "" || strings.ContainsAny(f.Message+strings.ReplaceAll(strings.ReplaceAll(f.Next, `'{"`, ""), `}'`, ""), "{}") && f.ID != "reconcile.failed" {
			t.Errorf("%s: %q, %q", f.ID, f.Message, f.Next)
		}
	}
	for id, want := range map[string]bool{"unread": true, "dead.letters": true, "alarm.none": false, "webhook.missing": false} {
		if slices.Contains(ids, id) != want {
			t.Errorf("%s is found: %v, want %v", id, !want, want)
		}
	}
	checked := doctor.Checked(o)
	for id, want := range map[string]bool{"unread": true, "dead.letters": true, "alarm.none": false, "webhook.missing": false} {
		if slices.Contains(checked, id) != want {
			t.Errorf("%s is checked: %v, want %v", id, !want, want)
		}
	}
}
