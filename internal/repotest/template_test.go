package repotest_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// settings returns the variables of a struct's env tags, those that Lambda
// itself sets left out.
func settings(of reflect.Type) map[string]bool {
	names := map[string]bool{}
	for i := range of.NumField() {
		field := of.Field(i)
		if field.Anonymous {
			maps.Copy(names, settings(field.Type))
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		names[name] = true
	}
	for _, set := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		delete(names, set)
	}
	return names
}

// Settings that a role of webhookrelay does not read.
var (
	onlyIngest    = []string{"HIKYAKU_WEBHOOK_SECRET_FIELD", "HIKYAKU_WEBHOOK_SECRET_RULE_SINCE"}
	onlyRelay     = []string{"HIKYAKU_DEAD_LETTER_QUEUE_URL"}
	onlyReconcile = []string{"HIKYAKU_WEBHOOK_URL"}
	notIngest     = []string{
		"HIKYAKU_MAPPING_FILE", "HIKYAKU_IDENTITY", "HIKYAKU_IDENTITY_PREFIX", "HIKYAKU_ID_IS_UNIQUE_ID", "HIKYAKU_IDENTITY_EDITABLE", "HIKYAKU_LINK", "HIKYAKU_RELAY", "HIKYAKU_ROW_HOLD", "HIKYAKU_LIST_LAG",
		"HIKYAKU_DISABLE_CAP", "HIKYAKU_CREATE_AFTER_LIST", "HIKYAKU_INSTANCES",
		"HIKYAKU_SUPERSAAS_RATE", "HIKYAKU_SUPERSAAS_SHARE", "HIKYAKU_YAPPLI_RATE", "HIKYAKU_YAPPLI_SHARE",
	}
)

// functionSettings is each function's settings, and which of them it may lack.
var functionSettings = map[string]struct {
	of   reflect.Type
	lack []string
}{
	localstack.TokenRefresh: {reflect.TypeFor[refreshfn.Settings](), nil},
	localstack.Ingest:       {reflect.TypeFor[relayfn.Settings](), slices.Concat(onlyRelay, onlyReconcile, notIngest)},
	localstack.Relay:        {reflect.TypeFor[relayfn.Settings](), slices.Concat(onlyIngest, onlyReconcile)},
	localstack.Reconcile:    {reflect.TypeFor[relayfn.Settings](), slices.Concat(onlyIngest, onlyRelay)},
	localstack.Export:       {reflect.TypeFor[exportfn.Settings](), nil},
}

// Every setting stands in the template, and every variable there is a setting.
func TestTemplate_VariablesAreTheSettings(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	for _, function := range localstack.Functions() {
		want := settings(functionSettings[function].of)
		for _, name := range functionSettings[function].lack {
			if !want[name] {
				t.Errorf("%s: %s is no setting any more", function, name)
			}
			delete(want, name)
		}
		got := s.Variables(localstack.Resource(function))
		for name := range want {
			if _, ok := got[name]; !ok {
				t.Errorf("template.yaml does not set %s of %s", name, function)
			}
		}
		for name := range got {
			if !want[name] {
				t.Errorf("template.yaml sets %s of %s, which it does not read", name, function)
			}
		}
	}
}

// Each function starts with the template's own values.
func TestTemplate_DefaultsStart(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	for _, function := range localstack.Functions() {
		vars := s.Variables(localstack.Resource(function))
		maps.Copy(vars, map[string]string{
			"AWS_REGION": "ap-northeast-1", "AWS_ACCESS_KEY_ID": "invented", "AWS_SECRET_ACCESS_KEY": "invented",
			"HIKYAKU_MAPPING_FILE": filepath.Join(root, "config", vars["HIKYAKU_MAPPING_FILE"]),
		})
		e := lambdafn.Environ{Vars: vars}
		var err error
		switch localstack.Command(function) {
		case "tokenrefresh":
			_, err = refreshfn.New(t.Context(), e)
		case "webhookrelay":
			_, err = relayfn.New(t.Context(), e)
		default:
			_, err = exportfn.New(t.Context(), e)
		}
		if err != nil {
			t.Errorf("%s: %v", function, err)
		}
	}
}

// Functions, their event folders and what builds them belong together.
func TestTemplate_FunctionsEventsAndBuilds(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	var want []string
	for _, function := range localstack.Functions() {
		want = append(want, localstack.Resource(function))
		files, err := filepath.Glob(filepath.Join(root, "events", function, "*.json"))
		if err != nil || len(files) == 0 {
			t.Errorf("events/%s has no event: %v", function, err)
		}
	}
	slices.Sort(want)
	if got := s.Resources("AWS::Serverless::Function"); !slices.Equal(got, want) {
		t.Errorf("functions %v, want %v", got, want)
	}
	folders, err := os.ReadDir(filepath.Join(root, "events"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if !slices.Contains(localstack.Functions(), f.Name()) {
			t.Errorf("events/%s is no function's", f.Name())
		}
	}
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range want {
		if s.At("Resources", name, "Metadata", "BuildMethod") != "makefile" || !strings.Contains(string(makefile), "build-"+name+" ") && !strings.Contains(string(makefile), "build-"+name+":") {
			t.Errorf("%s is not built by a target build-%s of the Makefile", name, name)
		}
	}
}

// Where the template names no role SAM makes one, with policies of its own: for an
// event of SQS every queue of the account, and the right to create log groups, which
// would bring those of a deleted stack back. Webhooks wait for no network of ours.
func TestTemplate_RolesGetNoMoreThanTheyName(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	for _, function := range localstack.Functions() {
		resource := localstack.Resource(function)
		if got := fmt.Sprint(s.At("Resources", resource, "Properties", "Role")); got != "map[GetAtt:"+role(function)+".Arn]" {
			t.Errorf("the role of %s is %s", function, got)
		}
		if got := s.At("Resources", resource, "Properties", "Policies"); got != nil {
			t.Errorf("%s has policies that its role ignores: %v", function, got)
		}
		if inside := s.At("Resources", resource, "Properties", "VpcConfig") != nil; inside == (function == localstack.Ingest) {
			t.Errorf("%s is in the VPC: %t", function, inside)
		}
	}
	for _, machine := range s.Resources("AWS::Serverless::StateMachine") {
		if got := fmt.Sprint(s.At("Resources", machine, "Properties", "Role")); got != "map[GetAtt:"+machine+"Role.Arn]" || s.At("Resources", machine, "Properties", "Events") != nil {
			t.Errorf("the role of %s is %s, or SAM makes one for its events", machine, got)
		}
	}
	if text := fmt.Sprint(s); strings.Contains(text, "logs:CreateLogGroup") || strings.Contains(text, "AWSLambda") {
		t.Error("a role may create log groups, or has one of AWS's own policies")
	}
	if s.At("Globals", "Function", "VpcConfig") != nil {
		t.Error("every function is in the VPC, ingest too")
	}
}

// The functions together never ask a provider for more than its limit.
func TestTemplate_SharesOfARate(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	shares, rates := map[string]float64{}, map[string]string{}
	for _, function := range localstack.Functions() {
		for name, v := range s.Variables(localstack.Resource(function)) {
			if provider, ok := strings.CutSuffix(name, "_SHARE"); ok {
				n, err := strconv.ParseFloat(v, 64)
				if err != nil {
					t.Errorf("%s of %s: %v", name, function, err)
				}
				shares[provider] += n
			}
			if provider, ok := strings.CutSuffix(name, "_RATE"); ok {
				if other, seen := rates[provider]; seen && other != v {
					t.Errorf("%s is %s and %s", name, other, v)
				}
				rates[provider] = v
			}
		}
	}
	if len(shares) != 4 {
		t.Errorf("shares of %v, want those of four providers", slices.Sorted(maps.Keys(shares)))
	}
	for provider, sum := range shares {
		if sum > 1+1e-9 {
			t.Errorf("the shares of %s sum to %.3f", provider, sum)
		}
	}
	concurrency := s.At("Resources", "WebhookRelayRelayFunctionUsers", "Properties", "ScalingConfig", "MaximumConcurrency")
	instances := s.At("Resources", localstack.Resource(localstack.Relay), "Properties", "Environment", "Variables", "HIKYAKU_INSTANCES")
	if !reflect.DeepEqual(concurrency, instances) {
		t.Errorf("the relay runs %v at once and divides its share by %v", concurrency, instances)
	}
}

// Times that must outlive others do.
func TestTemplate_Times(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	timeout := func(function string) time.Duration {
		return time.Duration(s.Number(t, "Resources", localstack.Resource(function), "Properties", "Timeout")) * time.Second
	}
	for _, name := range localstack.Functions() {
		if got, want := localstack.Timeout(name), timeout(name); got != want {
			t.Errorf("%s may take %s here and %s in the template", name, got, want)
		}
		memory := s.At("Resources", localstack.Resource(name), "Properties", "MemorySize")
		if memory == nil {
			memory = s.At("Globals", "Function", "MemorySize")
		}
		if got := localstack.Memory(name); fmt.Sprint(got) != s.Value(memory) {
			t.Errorf("%s has %d MiB here and %v in the template", name, got, s.Value(memory))
		}
	}
	duration := func(function, name string) time.Duration {
		d, err := time.ParseDuration(s.Variables(localstack.Resource(function))[name])
		if err != nil {
			t.Error(err)
		}
		return d
	}
	if hold := duration(localstack.Relay, "HIKYAKU_ROW_HOLD"); timeout(localstack.Relay) >= hold {
		t.Errorf("the relay may run for %s and its hold on a row ends after %s", timeout(localstack.Relay), hold)
	}
	visibility := time.Duration(s.Number(t, "Resources", "UserQueue", "Properties", "VisibilityTimeout")) * time.Second
	if visibility < 6*timeout(localstack.Relay) {
		t.Errorf("visibility of %s, want six times the relay's %s", visibility, timeout(localstack.Relay))
	}
	if stop := duration(localstack.Export, "HIKYAKU_EXPORT_STOP_AHEAD"); stop*4 > timeout(localstack.Export) {
		t.Errorf("export stops %s before its end at %s", stop, timeout(localstack.Export))
	}
	if timeout(localstack.Ingest) >= 30*time.Second {
		t.Error("API Gateway gives up after 30 s")
	}
	if timeout(localstack.TokenRefresh) > 2*time.Minute {
		t.Error("a refresher must end before its lease does, after two minutes")
	}
	if !reflect.DeepEqual(s.At("Resources", "WebhookRelayRelayFunctionUsers", "Properties", "FunctionResponseTypes"), []any{"ReportBatchItemFailures"}) {
		t.Error("the relay's partial failures are not read")
	}
}

// A message of a three-day outage is still there, and still below the receive
// limit, though each of its pauses is as short as they get.
func TestTemplate_QueueOutlastsThreeDays(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	const outage = 72 * time.Hour
	receives := 0
	for elapsed, pause := time.Duration(0), 5*time.Second; elapsed < outage; receives++ {
		elapsed += time.Duration(math.Round(float64(pause) * 0.81))
		if pause *= 2; receives >= 9 {
			pause = time.Hour
		}
	}
	if limit := s.Number(t, "Resources", "UserQueue", "Properties", "RedrivePolicy", "maxReceiveCount"); limit < 2*receives {
		t.Errorf("a receive limit of %d, want twice the %d receipts of three days", limit, receives)
	}
	for _, queue := range []string{"UserQueue", "DeadLetterQueue"} {
		if kept := time.Duration(s.Number(t, "Resources", queue, "Properties", "MessageRetentionPeriod")) * time.Second; kept < 4*outage {
			t.Errorf("%s keeps messages for %s", queue, kept)
		}
	}
}

// role is the logical name of a function's role.
func role(function string) string { return localstack.Resource(function) + "Role" }

var wildcard = regexp.MustCompile(`^\s+(Action|Resource|"s3:prefix"|- !Sub|Condition):?.*\*`)

// Every wildcard of a role is explained, and no role reaches what is another's.
func TestTemplate_Roles(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	explained := false
	for i, line := range strings.Split(string(text), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "#"):
			explained = explained || strings.Contains(trimmed, "*")
		case strings.HasPrefix(trimmed, "- Sid:"):
			explained = strings.Contains(trimmed, "TlsOnly") // a denial: the wider, the stricter
		case wildcard.MatchString(line) && !explained:
			t.Errorf("template.yaml:%d: a wildcard without a comment that says what * stands for", i+1)
		}
	}
	s := prove.ReadTemplate(t, root)
	forbidden := map[string][]string{
		localstack.TokenRefresh: {"sqs:", "/exports/", "/state/relay/"},
		localstack.Ingest:       {"/token", "/connection", "/refresh", "s3:", "lambda:", "sqs:ReceiveMessage"},
		localstack.Relay:        {"s3:DeleteObject", "/connection", "/refresh", "/webhook", "/exports/", "PutSecretValue"},
		localstack.Reconcile:    {"/connection", "/refresh", "/webhook", "/exports/", "PutSecretValue", "DeadLetterQueue"},
		localstack.Export:       {"/connection", "/refresh", "/webhook", "sqs:", "s3:DeleteObject", "PutSecretValue"},
	}
	for function, never := range forbidden {
		policies := fmt.Sprint(s.Statements(role(function)))
		for _, what := range never {
			if reaches(policies, what) {
				t.Errorf("the role of %s reaches %s", function, what)
			}
		}
	}
}

// What a person has decided functions read and never write, whatever else they
// may write.
func TestTemplate_DecisionsAreReadOnly(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	for _, function := range []string{localstack.Relay, localstack.Reconcile} {
		denied := false
		for _, of := range s.Statements(role(function)) {
			denied = denied || of["Effect"] == "Deny" && of["Action"] == "s3:PutObject" && strings.Contains(fmt.Sprint(of["Resource"]), "${Prefix}/state/relay/*/decisions/*")
		}
		if !denied {
			t.Errorf("%s may write decisions", function)
		}
	}
}

// A deployment is refused by the same identities for which the function waits.
func TestTemplate_RefusesAnIdentityThatNobodyAgreedTo(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	for rule, want := range map[string][2]string{
		"IdNeedsPrefix":            {"[map[And:[map[Equals:[map[Ref:Identity] id]] map[Equals:[map[Ref:IdentityPrefix] ]]]]]", "map[Equals:[map[Ref:IdIsUniqueId] yes]]"},
		"EditableIdentityNeedsYes": {"[map[Contains:[[email name phone mobile field_1 field_2] map[Ref:Identity]]]]", "map[Equals:[map[Ref:IdentityEditable] yes]]"},
	} {
		condition := fmt.Sprint([]any{s.At("Rules", rule, "RuleCondition")})
		asserted := fmt.Sprint(s.At("Rules", rule, "Assertions"))
		if condition != want[0] || !strings.Contains(asserted, want[1]) {
			t.Errorf("%s: %s asserts %s, want %v", rule, condition, asserted, want)
		}
	}
	for _, parameter := range []string{"IdIsUniqueId", "IdentityEditable"} {
		if s.At("Parameters", parameter, "Default") != "no" {
			t.Errorf("%s has a default that agrees", parameter)
		}
	}
}

// What the relay may create and which users a reconcile sends is judged by the same settings.
// A stack waits for a list only if its parameters ask for that.
func TestTemplate_RelayAndReconcileJudgeAlike(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	set := func(function, name string) any {
		return s.At("Resources", localstack.Resource(function), "Properties", "Environment", "Variables", name)
	}
	for _, name := range notIngest {
		if strings.HasSuffix(name, "_SHARE") || name == "HIKYAKU_INSTANCES" {
			continue // each has its own part
		}
		if relay, reconcile := set(localstack.Relay, name), set(localstack.Reconcile, name); !reflect.DeepEqual(relay, reconcile) {
			t.Errorf("%s is %v of the relay and %v of reconcile", name, relay, reconcile)
		}
	}
	if got := fmt.Sprint(set(localstack.Relay, "HIKYAKU_CREATE_AFTER_LIST")); got != "map[Ref:CreateAfterList]" {
		t.Errorf("HIKYAKU_CREATE_AFTER_LIST is %s, which no parameter changes", got)
	}
	if got := s.At("Parameters", "CreateAfterList", "Default"); got != "false" {
		t.Errorf("CreateAfterList is %v by default", got)
	}
}

// reaches finds an action or a name that is not the beginning of a longer one,
// as s3:DeleteObject is of s3:DeleteObjectTagging.
func reaches(policies, what string) bool {
	pattern := regexp.QuoteMeta(what)
	if last := what[len(what)-1]; last != ':' && last != '/' {
		pattern += `\b`
	}
	return regexp.MustCompile(pattern).MatchString(policies)
}

// A person who is woken by an alarm finds it in the runbook, and reads first how soon
// to act.
func TestTemplate_AlarmsAreInTheRunbook(t *testing.T) {
	t.Parallel()
	runbook, err := os.ReadFile(root + "/docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	s := prove.ReadTemplate(t, root)
	for _, alarm := range slices.Concat(s.Resources("AWS::CloudWatch::Alarm"), s.Resources("AWS::CloudWatch::CompositeAlarm")) {
		if !strings.Contains(string(runbook), "`"+alarm+"`") {
			t.Errorf("docs/runbook.md does not say what to do about %s", alarm)
		}
		severity, _, _ := strings.Cut(fmt.Sprint(s.At("Resources", alarm, "Properties", "AlarmDescription")), ": ")
		if !slices.Contains([]string{"Critical", "High", "Warning"}, severity) {
			t.Errorf("the description of %s begins with %q, want how soon to act", alarm, severity)
		}
	}
}
