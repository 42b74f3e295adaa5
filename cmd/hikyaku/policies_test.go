package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"hikyaku/internal/doctor"
)

// actions are the AWS actions that the commands of all scripts asked for.
type actions struct {
	mu    sync.Mutex
	asked map[string]bool
}

// called are those of every stack of the tests.
var called actions

// actionOf names the actions of operations that are called otherwise. The others are
// called as their action is.
var actionOf = map[string]string{
	"s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket", "lambda:Invoke": "lambda:InvokeFunction",
	"s3:GetObjectTagging": "s3:GetObjectTagging", "sqs:SendMessageBatch": "sqs:SendMessage", "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
	"sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}

func (a *actions) add(calls map[string]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked == nil {
		a.asked = map[string]bool{}
	}
	for operation := range calls {
		name := strings.Replace(operation, ".", ":", 1)
		if action := actionOf[name]; action != "" {
			name = action
		}
		a.asked[name] = true
	}
}

// free are the actions that need no right.
var free = map[string]bool{"sts:GetCallerIdentity": true}

// rarely are the actions that no script needs, and no page names.
var rarely = map[string]string{
	"iam:PassRole":    "which EventBridge Scheduler asks of who changes a schedule, for the role that it names",
	"s3:DeleteObject": "with which a reconcile clears the tables of one that was interrupted",
}

// notOperators are the actions of the runbook and of doctor that are left to others.
var notOperators = map[string]string{
	"cloudformation:ContinueUpdateRollback": "it deploys",
	"sns:Subscribe":                         "who is told of alarms is a setting of the stack",
}

var (
	awsCommand = regexp.MustCompile(`\baws (cloudformation|cloudwatch|lambda|logs|s3|s3api|scheduler|secretsmanager|sns|sqs|stepfunctions) ([a-z0-9-]+)`)
	wordOf     = regexp.MustCompile(`(?:^|-)[a-z]`)
	// actionOfCommand names the actions of commands of the AWS CLI that are called otherwise.
	actionOfCommand = map[string]string{"lambda:Invoke": "lambda:InvokeFunction", "s3:Mv": "s3:DeleteObject", "s3:Rm": "s3:DeleteObject", "s3:Cp": "s3:GetObject"}
)

// onPages are the AWS actions of the commands of the AWS CLI that an operator is told to
// run: in the runbook, in what follows docs/deploy.md's "From here on you are the
// operator", and by doctor; each with where.
func onPages(t *testing.T) map[string]string {
	t.Helper()
	read := func(name string) string {
		raw, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	_, operators, found := strings.Cut(read("deploy.md"), "From here on you are the operator")
	if !found {
		t.Fatal("docs/deploy.md does not say from where on it is the operator's")
	}
	texts := map[string]string{"docs/runbook.md": read("runbook.md"), "docs/deploy.md": operators}
	for _, k := range doctor.Kinds() {
		texts["doctor's "+k.ID] = k.Next
	}
	actions := map[string]string{}
	for where, text := range texts {
		for _, c := range awsCommand.FindAllStringSubmatch(text, -1) {
			service := map[string]string{"stepfunctions": "states", "s3api": "s3"}[c[1]]
			action := cmp.Or(service, c[1]) + ":" + wordOf.ReplaceAllStringFunc(c[2], func(w string) string { return strings.ToUpper(w[len(w)-1:]) })
			actions[cmp.Or(actionOfCommand[action], action)] = where
		}
	}
	return actions
}

// An operator can follow the runbook, and every command that doctor names.
func TestPolicies_OperatorFollowsTheRunbook(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{}
	for _, s := range policy(t, "operator") {
		for _, action := range s.Action {
			allowed[action] = true
		}
	}
	told := onPages(t)
	for action, where := range told {
		if _, others := notOperators[action]; !allowed[action] && !others {
			t.Errorf("%s tells an operator to ask for %s, which policies/operator.json does not allow", where, action)
		}
	}
	for action := range notOperators {
		if allowed[action] || told[action] == "" {
			t.Errorf("%s is allowed, or no page names it: it is no exception", action)
		}
	}
}

// wantOperators compares what was asked for with what policies/operator.json allows:
// everything that a command needs, and nothing that none does.
func (a *actions) wantOperators(t *testing.T) {
	allowed := map[string]bool{}
	for _, s := range policy(t, "operator") {
		for _, action := range s.Action {
			allowed[action] = true
		}
	}
	for action, why := range rarely {
		t.Logf("not asked for by the scripts: %s, %s", action, why)
		delete(allowed, action)
	}
	told := onPages(t)
	all := flag.Lookup("test.run").Value.String() == ""
	for action := range a.asked {
		if !allowed[action] && !free[action] && rarely[action] == "" {
			t.Errorf("a command asks for %s, which policies/operator.json does not allow", action)
		}
	}
	for _, action := range slices.Sorted(maps.Keys(allowed)) {
		if all && !a.asked[action] && told[action] == "" {
			t.Errorf("policies/operator.json allows %s, for which no command of the scripts and no page asks", action)
		}
	}
}

// namespaces are the services that make a kind of resource, by the second part of
// CloudFormation's name of it.
var namespaces = map[string][]string{
	"Chatbot": {"chatbot"}, "CloudFormation": {"cloudformation"}, "CloudWatch": {"cloudwatch"}, "EC2": {"ec2"}, "Events": {"events"}, "Glue": {"glue"}, "IAM": {"iam"},
	"Lambda": {"lambda"}, "Logs": {"logs"}, "S3": {"s3"}, "SNS": {"sns"}, "SQS": {"sqs"}, "Scheduler": {"scheduler"}, "Serverless": {"lambda", "apigateway", "states"},
}

// The deployer may make every kind of resource of the template, and no other.
func TestPolicies_DeployerMakesWhatTheTemplateHas(t *testing.T) {
	t.Parallel()
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	needed := map[string]bool{}
	for _, kind := range regexp.MustCompile(`Type: AWS::(\w+)::`).FindAllStringSubmatch(string(template), -1) {
		services := namespaces[kind[1]]
		if services == nil {
			t.Errorf("no service is known for AWS::%s: give policies/deployer.json what makes it", kind[1])
		}
		for _, s := range services {
			needed[s] = true
		}
	}
	needed["cloudformation"] = true
	given := map[string]bool{}
	for _, s := range policy(t, "deployer") {
		for _, action := range s.Action {
			service, _, _ := strings.Cut(action, ":")
			given[service] = true
			if slices.Contains(s.Action, "iam:PassRole") && s.Condition == nil {
				t.Error("a role may be handed to any service")
			}
		}
	}
	if !maps.Equal(needed, given) {
		t.Errorf("needed are %v, given %v", slices.Sorted(maps.Keys(needed)), slices.Sorted(maps.Keys(given)))
	}
}

// allows says whether a policy allows an action on a resource, without conditions.
func allows(statements []statement, action, resource string) bool {
	allowed := false
	for _, s := range statements {
		matches := func(pattern, text string) bool {
			ok, err := filepath.Match(strings.ReplaceAll(pattern, "/", "|"), strings.ReplaceAll(text, "/", "|"))
			return ok && err == nil
		}
		if slices.ContainsFunc(s.Action, func(p string) bool { return matches(p, action) }) &&
			slices.ContainsFunc(s.Resource, func(p string) bool { return matches(p, resource) }) {
			if s.Effect == "Deny" {
				return false
			}
			allowed = true
		}
	}
	return allowed
}

// Who may read what: a reader no secret and no customer, an analyst the exports
// alone, an operator nothing outside the stack.
func TestPolicies_WhoReadsWhat(t *testing.T) {
	t.Parallel()
	const (
		secret  = "arn:aws:secretsmanager:REGION:ACCOUNT:secret:PREFIX/yappli/token-AbCdEf"
		foreign = "arn:aws:secretsmanager:REGION:ACCOUNT:secret:OTHER/yappli/token-AbCdEf"
		part    = "arn:aws:s3:::BUCKET/PREFIX/exports/yappli/users/dt=2026-11-22/run=20261122T003000Z/part-00000.jsonl.gz"
		row     = "arn:aws:s3:::BUCKET/PREFIX/state/relay/f/rows/20450001"
		reject  = "arn:aws:s3:::BUCKET/PREFIX/rejects/yappli/users/part-00000.jsonl"
		other   = "arn:aws:s3:::ELSEWHERE/PREFIX/exports/x"

		refresher = "arn:aws:lambda:REGION:ACCOUNT:function:STACK-TokenRefreshFunction-AbCdEf"
	)
	for _, c := range []struct {
		policy, action, resource string
		want                     bool
	}{
		{"operator", "secretsmanager:GetSecretValue", secret, true},
		{"operator", "secretsmanager:GetSecretValue", foreign, false},
		{"operator", "secretsmanager:DeleteSecret", secret, false},
		{"operator", "s3:GetObject", part, true},
		{"operator", "s3:DeleteObject", part, false},
		{"operator", "s3:DeleteObject", row, false},
		{"operator", "s3:DeleteObject", "arn:aws:s3:::BUCKET/PREFIX/config/mapping/pointer", true},
		{"operator", "s3:DeleteObject", "arn:aws:s3:::BUCKET/PREFIX/config/mapping/0a1b.yaml", false},
		{"operator", "s3:DeleteObject", "arn:aws:s3:::BUCKET/PREFIX/state/pause", true},
		{"operator", "secretsmanager:RestoreSecret", secret, true},
		{"operator", "secretsmanager:RestoreSecret", foreign, false},
		{"operator", "s3:GetObject", other, false},
		{"operator", "scheduler:UpdateSchedule", "arn:aws:scheduler:REGION:ACCOUNT:schedule/default/STACK-TokenRefreshTick-1ABC", true},
		{"operator", "scheduler:UpdateSchedule", "arn:aws:scheduler:REGION:ACCOUNT:schedule/default/ELSEWHERE-Tick", false},
		{"operator", "iam:PassRole", "arn:aws:iam::ACCOUNT:role/STACK-LoopScheduleRole-1ABC", true},
		{"operator", "iam:PassRole", "arn:aws:iam::ACCOUNT:role/Admin", false},
		{"reader", "secretsmanager:GetSecretValue", secret, false},
		{"reader", "secretsmanager:DescribeSecret", secret, true},
		{"reader", "s3:GetObject", part, false},
		{"reader", "s3:GetObject", row, false},
		{"reader", "sqs:ReceiveMessage", "arn:aws:sqs:REGION:ACCOUNT:STACK-dead.fifo", false},
		{"analyst", "s3:GetObject", part, true},
		{"analyst", "s3:GetObject", row, false},
		{"analyst", "s3:GetObject", reject, false},
		{"analyst", "s3:PutObject", part, false},
		{"analyst", "secretsmanager:GetSecretValue", secret, false},
		{"deployer", "secretsmanager:GetSecretValue", secret, false},
		{"operator", "lambda:InvokeFunction", refresher + ":operator", true},
		{"operator", "lambda:InvokeFunction", refresher + ":schedule", false},
		{"operator", "lambda:InvokeFunction", refresher + ":rotation", false},
		{"operator", "lambda:InvokeFunction", refresher, false},
		{"reader", "lambda:InvokeFunction", refresher + ":operator", false},
		{"analyst", "lambda:InvokeFunction", refresher + ":operator", false},
		{"operator", "lambda:InvokeFunction", refresher + ":watch", true}, // it measures, and touches no credential
		{"reader", "lambda:InvokeFunction", refresher + ":watch", false},
		{"reader", "scheduler:UpdateSchedule", "arn:aws:scheduler:REGION:ACCOUNT:schedule/default/STACK-TokenRefreshTick-1ABC", false},
		{"reader", "lambda:UpdateEventSourceMapping", "arn:aws:lambda:REGION:ACCOUNT:event-source-mapping:5f0c", false},
		{"reader", "s3:PutObject", "arn:aws:s3:::BUCKET/PREFIX/state/pause", false},
		{"reader", "sns:Publish", "arn:aws:sns:REGION:ACCOUNT:STACK-PeopleTopic-AbC", false},
		{"analyst", "s3:PutObject", "arn:aws:s3:::BUCKET/PREFIX/state/pause", false},
		{"deployer", "s3:GetObject", part, false},
		{"deployer", "iam:CreateRole", "arn:aws:iam::ACCOUNT:role/Admin", false},
	} {
		if got := allows(policy(t, c.policy), c.action, c.resource); got != c.want {
			t.Errorf("%s: %s on %s: %v, want %v", c.policy, c.action, c.resource, got, c.want)
		}
	}
}

// Who may only read can run doctor, but for what secrets and objects say.
func TestPolicies_ReaderRunsDoctor(t *testing.T) {
	t.Parallel()
	for action, resource := range map[string]string{
		"cloudformation:DescribeStacks": "*", "cloudformation:ListStackResources": "arn:aws:cloudformation:REGION:ACCOUNT:stack/STACK/*",
		"lambda:GetFunctionConfiguration": "arn:aws:lambda:REGION:ACCOUNT:function:STACK-ExportFunction-AbC", "lambda:GetAccountSettings": "*",
		"lambda:GetEventSourceMapping": "arn:aws:lambda:REGION:ACCOUNT:event-source-mapping:5f0c", "scheduler:GetSchedule": "arn:aws:scheduler:REGION:ACCOUNT:schedule/default/STACK-Tick",
		"sqs:GetQueueAttributes": "arn:aws:sqs:REGION:ACCOUNT:STACK-dead.fifo", "states:ListExecutions": "arn:aws:states:REGION:ACCOUNT:stateMachine:ExportLoop-AbC",
		"cloudwatch:DescribeAlarms": "*", "cloudwatch:GetMetricStatistics": "*", "sns:ListSubscriptionsByTopic": "arn:aws:sns:REGION:ACCOUNT:STACK-PeopleTopic-AbC",
	} {
		for _, name := range []string{"operator", "reader"} {
			if !allows(policy(t, name), action, resource) {
				t.Errorf("%s: may not %s on %s", name, action, resource)
			}
		}
	}
	if allows(policy(t, "reader"), "sns:Publish", "arn:aws:sns:REGION:ACCOUNT:STACK-PeopleTopic-AbC") {
		t.Error("a reader may send messages")
	}
}

// Each policy fits into a role of its own, as docs/deploy.md attaches it: IAM takes
// 10,240 characters there, white space not counted.
func TestPolicies_FitIntoARole(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"deployer", "operator", "analyst", "reader"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "policies", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(strings.Join(strings.Fields(string(raw)), "")); n == 0 || n > 10240 {
			t.Errorf("policies/%s.json has %d characters, the bound is 10240", name, n)
		}
	}
}

// A statement is one of a policy.
type statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string]any
}

func policy(t *testing.T, name string) []statement {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "policies", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Version   string
		Statement []statement
	}
	if err := json.Unmarshal(raw, &p); err != nil || p.Version != "2012-10-17" || len(p.Statement) == 0 {
		t.Fatalf("%s: %v", name, err)
	}
	return p.Statement
}
