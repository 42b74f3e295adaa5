package repotest_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// What holds data or is registered elsewhere outlives the stack, but not a first
// creation that failed: what nobody has used yet would only cost.
func TestTemplate_OutlivesTheStack(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	resources, _ := s.At("Resources").(map[string]any)
	var kept []string
	for name := range resources {
		deletion, replacement := s.At("Resources", name, "DeletionPolicy"), s.At("Resources", name, "UpdateReplacePolicy")
		if deletion == nil && replacement == nil || deletion == "Delete" && replacement == "Delete" {
			continue
		}
		kept = append(kept, name)
		if deletion != "RetainExceptOnCreate" || replacement != "Retain" {
			t.Errorf("%s: deleted by %v and replaced by %v, want RetainExceptOnCreate and Retain", name, deletion, replacement)
		}
	}
	if slices.Sort(kept); !slices.Equal(kept, []string{"Bucket", "NatAddress"}) {
		t.Errorf("kept are %v, want the bucket and the registered address", kept)
	}
}

// A new account runs 10 functions at once; webhooks are never crowded out by the rest.
func TestTemplate_LeavesRoomForWebhooks(t *testing.T) {
	t.Parallel()
	const account, webhooks = 10, 3
	s := prove.ReadTemplate(t, root)
	exports := s.Number(t, "Resources", "ExportLoop", "Properties", "Definition", "States", "Datasets", "MaxConcurrency")
	relays := s.Number(t, "Parameters", "RelayConcurrency", "Default")
	const reconcile, tokenrefresh = 1, 1
	if left := account - exports - relays - reconcile - tokenrefresh; exports < 1 || left < webhooks {
		t.Errorf("%d exports and %d relays leave %d of %d for webhooks, want %d", exports, relays, left, account, webhooks)
	}
	for _, function := range localstack.Functions() {
		if s.At("Resources", localstack.Resource(function), "Properties", "ReservedConcurrentExecutions") != nil {
			t.Errorf("%s reserves concurrency, which an account of 10 refuses", function)
		}
	}
}

// SAM writes what newer readers of OpenAPI warn of.
func TestTemplate_WarningsDoNotStopTheApi(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	for _, api := range s.Resources("AWS::Serverless::HttpApi") {
		if fail := s.At("Resources", api, "Properties", "FailOnWarnings"); fail != nil && fail != "false" {
			t.Errorf("%s is not created if there is a warning", api)
		}
	}
}

// The template works in every partition of AWS, such as China's.
func TestTemplate_NamesNoPartition(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	for _, path := range mentions(map[string]any(s), "", "arn:aws") {
		t.Errorf("%s holds for one partition only", path)
	}
	for _, machine := range s.Resources("AWS::Serverless::StateMachine") {
		if got := fmt.Sprint(s.At("Resources", machine, "Properties", "DefinitionSubstitutions", "Partition", "Ref")); got != "AWS::Partition" {
			t.Errorf("the partition of %s is %s", machine, got)
		}
	}
}

// references are the resources that a value names.
func references(v any) (names []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			names = append(names, references(below)...)
			if text, ok := below.(string); ok && key == "GetAtt" {
				name, _, _ := strings.Cut(text, ".")
				names = append(names, name)
			}
		}
	case []any:
		for _, below := range v {
			names = append(names, references(below)...)
		}
	case string:
		names = append(names, v)
		for _, match := range variable.FindAllStringSubmatch(v, -1) {
			names = append(names, match[1])
		}
	}
	return names
}

var variable = regexp.MustCompile(`\$\{(\w+)`)

// Each schedule begins, and changes, after everything else: what it calls is whole.
func TestTemplate_SchedulesComeLast(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	resources, _ := s.At("Resources").(map[string]any)
	schedules := s.Resources("AWS::Scheduler::Schedule")
	if len(schedules) != 5 {
		t.Errorf("schedules %v, want five", schedules)
	}
	for _, schedule := range schedules {
		before, queue := map[string]bool{}, []string{schedule}
		for len(queue) > 0 {
			name := queue[0]
			queue = queue[1:]
			if _, ok := resources[name]; !ok || before[name] {
				continue
			}
			before[name] = true
			queue = append(queue, references(resources[name])...)
		}
		for name := range resources {
			if !before[name] && !slices.Contains(schedules, name) && s.At("Resources", name, "Condition") == nil {
				t.Errorf("%s does not wait for %s", schedule, name)
			}
		}
		if !before["PrivateRoute"] || !before["PrivateRoutesOfSubnet"] {
			t.Errorf("%s does not wait for the way out", schedule)
		}
	}
}

// An address that was registered once can be used again, and so can a network; nothing
// that the stack would make in their place is made then.
func TestTemplate_UsesAnAddressOrANetworkThatExists(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	network := []string{
		"BucketEndpoint", "EgressGroup", "Internet", "InternetAttachment", "NatGateway", "PrivateRoute", "PrivateRoutes",
		"PrivateRoutesOfSubnet", "PrivateSubnet", "PublicRoute", "PublicRoutes", "PublicRoutesOfSubnet", "PublicSubnet", "Vpc",
	}
	for _, name := range network {
		if got := s.At("Resources", name, "Condition"); got != "OwnNetwork" {
			t.Errorf("%s is made if %v", name, got)
		}
	}
	for path, want := range map[string]string{
		"Resources.NatAddress.Condition":                               "OwnAddress",
		"Conditions.OwnNetwork":                                        "map[And:[map[Condition:Nat] map[Equals:[map[Join:[ map[Ref:EgressSubnetIds]]] ]]]]",
		"Conditions.OwnAddress":                                        "map[And:[map[Condition:OwnNetwork] map[Equals:[map[Ref:EgressAllocationId] ]]]]",
		"Resources.NatGateway.Properties.AllocationId":                 "map[If:[OwnAddress map[GetAtt:NatAddress.AllocationId] map[Ref:EgressAllocationId]]]",
		"Resources.PrivateSubnet.Properties.AvailabilityZone":          "map[If:[ZoneGiven map[Ref:EgressZone] map[Select:[0 map[GetAZs:]]]]]",
		"Resources.PublicSubnet.Properties.AvailabilityZone":           "map[If:[ZoneGiven map[Ref:EgressZone] map[Select:[0 map[GetAZs:]]]]]",
		"Outputs.NatAllocationId.Value":                                "map[GetAtt:NatAddress.AllocationId]",
		"Resources.TokenRefreshFunction.Properties.VpcConfig":          vpcConfig,
		"Resources.ExportFunction.Properties.VpcConfig":                vpcConfig,
		"Resources.WebhookRelayRelayFunction.Properties.VpcConfig":     vpcConfig,
		"Resources.WebhookRelayReconcileFunction.Properties.VpcConfig": vpcConfig,
	} {
		if got := fmt.Sprint(value(s, path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

const vpcConfig = "map[If:[Nat map[SecurityGroupIds:map[If:[OwnNetwork [map[Ref:EgressGroup]] map[Ref:EgressSecurityGroupIds]]] " +
	"SubnetIds:map[If:[OwnNetwork [map[Ref:PrivateSubnet]] map[Ref:EgressSubnetIds]]]] map[Ref:AWS::NoValue]]]"

// Lambda leaves out nothing that a function writes, so that LogLevel alone decides.
func TestTemplate_LogLevelAloneDecides(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	if got := fmt.Sprint(s.At("Globals", "Function", "LoggingConfig")); got != "map[ApplicationLogLevel:DEBUG LogFormat:JSON SystemLogLevel:WARN]" {
		t.Errorf("all functions log by %s", got)
	}
	for _, function := range localstack.Functions() {
		logging, _ := s.At("Resources", localstack.Resource(function), "Properties", "LoggingConfig").(map[string]any)
		if len(logging) != 1 || logging["LogGroup"] == nil {
			t.Errorf("%s logs by %v", function, logging)
		}
	}
}

// Two stacks of one account tell each its own people: the functions name their stack in
// each metric and event, and alarms and rules look at it.
func TestTemplate_AStackHearsItself(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	if got := fmt.Sprint(s.At("Globals", "Function", "Environment", "Variables", "HIKYAKU_STACK")); got != "map[Ref:AWS::StackName]" {
		t.Errorf("the functions' stack is %s", got)
	}
	own := 0
	for _, alarm := range s.Resources("AWS::CloudWatch::Alarm") {
		dimensions := fmt.Sprint(s.At("Resources", alarm, "Properties", "Dimensions"))
		switch s.At("Resources", alarm, "Properties", "Namespace") {
		case nil: // of several metrics
			dimensions = fmt.Sprint(s.At("Resources", alarm, "Properties", "Metrics"))
			if strings.Contains(dimensions, "Namespace:Hikyaku") || strings.Count(dimensions, "Dimensions:") != strings.Count(dimensions, "Value:map[Ref:") {
				t.Errorf("%s watches more than this stack: %s", alarm, dimensions)
			}
		case "Hikyaku":
			own++
			if !strings.Contains(dimensions, "map[Name:stack Value:map[Ref:AWS::StackName]]") {
				t.Errorf("%s watches every stack: %s", alarm, dimensions)
			}
		default:
			if !strings.Contains(dimensions, "Ref:") && !strings.Contains(dimensions, "GetAtt:") {
				t.Errorf("%s watches nothing of this stack: %s", alarm, dimensions)
			}
		}
	}
	if own < 10 {
		t.Errorf("only %d alarms watch metrics of the functions", own)
	}
	for _, rule := range s.Resources("AWS::Events::Rule") {
		if got := fmt.Sprint(s.At("Resources", rule, "Properties", "EventPattern", "detail")); got != "map[prefix:[map[Ref:Prefix]] stack:[map[Ref:AWS::StackName] ]]" {
			t.Errorf("%s hears %s", rule, got)
		}
	}
}

// Alarms and events reach one topic, the stack's own or the one that is given, and a
// topic of the stack lets those two in.
func TestTemplate_PeopleAreTold(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	const topic = "map[If:[OwnTopic map[Ref:PeopleTopic] map[Ref:AlarmTopic]]]"
	parts := []string{"RefreshTicksAlarm", "RefreshTickedBeforeAlarm", "TokensPausedAlarm"}
	for _, alarm := range slices.Concat(s.Resources("AWS::CloudWatch::Alarm"), s.Resources("AWS::CloudWatch::CompositeAlarm")) {
		for _, action := range []string{"AlarmActions", "OKActions"} {
			if got := fmt.Sprint(s.At("Resources", alarm, "Properties", action)); got != "["+topic+"]" && !slices.Contains(parts, alarm) {
				t.Errorf("%s of %s are %s", action, alarm, got)
			}
		}
	}
	for path, want := range map[string]string{
		"Conditions.OwnTopic":                                                                 "map[Equals:[map[Ref:AlarmTopic] ]]",
		"Conditions.Slack":                                                                    "map[And:[map[Not:[map[Equals:[map[Ref:SlackWorkspaceId] ]]]] map[Not:[map[Equals:[map[Ref:SlackChannelId] ]]]]]]",
		"Resources.PeopleRule.Properties.Targets.0.Arn":                                       topic,
		"Resources.PeopleRule.Properties.Targets.1.If.0":                                      "Slack",
		"Resources.PeopleRule.Properties.Targets.1.If.1.Arn":                                  "map[Ref:SlackTopic]",
		"Resources.PeopleRule.Condition":                                                      "<nil>",
		"Resources.PeopleMail.Properties.TopicArn":                                            topic,
		"Resources.PeopleMail.Condition":                                                      "Mailed",
		"Resources.PeopleTopicPolicy.Properties.PolicyDocument.Statement.0.Principal.Service": "cloudwatch.amazonaws.com",
		"Resources.PeopleTopicPolicy.Properties.PolicyDocument.Statement.0.Condition":         "map[StringEquals:map[aws:SourceAccount:map[Ref:AWS::AccountId]]]",
		"Resources.PeopleTopicPolicy.Properties.PolicyDocument.Statement.1.Principal.Service": "events.amazonaws.com",
		"Resources.SlackChannel.Properties.SnsTopicArns":                                      "[" + topic + " map[Ref:SlackTopic]]",
		"Resources.SlackChannel.Properties.GuardrailPolicies.0.Sub":                           "arn:${AWS::Partition}:iam::aws:policy/ReadOnlyAccess",
		"Resources.SlackRole.Properties.Policies":                                             "<nil>",
		"Resources.SlackRole.Properties.ManagedPolicyArns":                                    "<nil>",
		"Resources.SlackTopicPolicy.Properties.PolicyDocument.Statement.0.Principal.Service":  "events.amazonaws.com",
		"Outputs.PeopleTopicArn.Value":                                                        topic,
	} {
		if got := fmt.Sprint(value(s, path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for _, name := range []string{"PeopleTopic", "PeopleTopicPolicy"} {
		if got := s.At("Resources", name, "Condition"); got != "OwnTopic" {
			t.Errorf("%s is made if %v", name, got)
		}
	}
	for _, name := range []string{"SlackTopic", "SlackTopicPolicy", "SlackRole", "SlackChannel"} {
		if got := s.At("Resources", name, "Condition"); got != "Slack" {
			t.Errorf("%s is made if %v", name, got)
		}
	}
	var shown map[string]any
	text := fmt.Sprint(value(s, "Resources.PeopleRule.Properties.Targets.1.If.1.InputTransformer.InputTemplate.Sub"))
	if err := json.Unmarshal([]byte(text), &shown); err != nil || shown["version"] != "1.0" || shown["source"] != "custom" {
		t.Errorf("Slack is told %s: %v", text, err)
	}
}
