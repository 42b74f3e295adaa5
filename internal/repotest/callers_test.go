package repotest_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// mentions lists where a value names a resource, by the keys on the way there.
func mentions(v any, at, resource string) []string {
	return mentionsOf(v, at, regexp.MustCompile(`\b`+resource+`\b`))
}

func mentionsOf(v any, at string, named *regexp.Regexp) (paths []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			paths = append(paths, mentionsOf(below, at+"."+key, named)...)
		}
	case []any:
		for i, below := range v {
			paths = append(paths, mentionsOf(below, fmt.Sprintf("%s.%d", at, i), named)...)
		}
	case string:
		if named.MatchString(v) {
			paths = append(paths, strings.TrimPrefix(at, "."))
		}
	}
	return paths
}

// Readers, Secrets Manager and the schedules each name one alias of tokenrefresh; nobody of
// the stack names the one that is people's, or may invoke the function itself.
func TestTemplate_WhoMayInvokeTokenRefresh(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	const (
		operator, readers, rotation, schedule, watch = "TokenRefreshOperatorAlias", "TokenRefreshReadersAlias", "TokenRefreshRotationAlias", "TokenRefreshScheduleAlias", "TokenRefreshWatchAlias"

		variable = "Properties.Environment.Variables.HIKYAKU_TOKENREFRESH_FUNCTION.Ref"
		policy   = `Properties\.Policies\.1\.PolicyDocument\.Statement\.\d+\.Resource\.Ref`
	)
	for resource, where := range map[string][]string{
		"TokenRefreshFunction": {
			`Outputs\.TokenRefreshFunctionName\.Value\.Ref`,
			`Resources\.TokenRefreshTick\.DependsOn\.\d+`,
			`Resources\.Refresh(Errors|Throttled|Ticks|TickedBefore)Alarm\.Properties\.Dimensions\.\d\.Value\.(Ref|Sub)`,
			`Resources\.Dashboard\.Properties\.DashboardBody\.Sub`,
			`Resources\.TokenRefresh(Operator|Readers|Rotation|Schedule|Watch)Alias\.Properties\.FunctionName\.Ref`,
			`Resources\.TokenRefreshScheduleInvokeConfig\.Properties\.FunctionName\.Ref`,
		},
		operator: {
			`Outputs\.TokenRefreshOperatorArn\.Value\.Ref`,
			`Resources\.TokenRefreshTick\.DependsOn\.\d+`,
		},
		readers: {
			`Outputs\.TokenRefreshReadersArn\.Value\.Ref`,
			`Resources\.TokenRefreshTick\.DependsOn\.\d+`,
			`Resources\.(WebhookRelayRelay|WebhookRelayReconcile|Export)Function(\.` + regexp.QuoteMeta(variable) + `|Role\.` + policy + `)`,
		},
		rotation: {
			`Outputs\.TokenRefreshRotationArn\.Value\.Ref`,
			`Resources\.TokenRefreshRotationPermission\.Properties\.FunctionName\.Ref`,
			`Resources\.TokenRefreshRotationPolicy\.Properties\.PolicyDocument\.Statement\.\d\.(Resource\.Ref|Condition\.ArnEqualsIfExists\.secretsmanager:RotationLambdaARN\.Ref)`,
			`Resources\.TokenRefreshTick\.DependsOn\.\d+`,
		},
		schedule: {
			`Resources\.TokenRefreshScheduleInvokeConfig\.DependsOn`,
			`Resources\.TokenRefreshTick\.Properties\.Target\.Arn\.Ref`,
			`Resources\.TokenRefreshTickRole\.Properties\.Policies\.0\.PolicyDocument\.Statement\.0\.Resource\.0\.Ref`,
		},
		watch: {
			`Resources\.PauseWatch\.Properties\.Target\.Arn\.Ref`,
			`Resources\.TokenRefreshTick\.DependsOn\.\d+`,
			`Resources\.TokenRefreshTickRole\.Properties\.Policies\.0\.PolicyDocument\.Statement\.0\.Resource\.1\.Ref`,
		},
	} {
		expected := regexp.MustCompile(`^(` + strings.Join(where, "|") + `)$`)
		found := mentions(map[string]any(s), "", resource)
		for _, path := range found {
			if !expected.MatchString(path) {
				t.Errorf("%s is named at %s", resource, path)
			}
		}
		for _, pattern := range where {
			if !slices.ContainsFunc(found, regexp.MustCompile(`^`+pattern+`$`).MatchString) {
				t.Errorf("%s is named nowhere at %s", resource, pattern)
			}
		}
	}
	if got := s.At("Resources", "TokenRefreshFunction", "Properties", "Events"); got != nil {
		t.Errorf("events of the function, %v, invoke it without an alias", got)
	}
	for path, want := range map[string]string{
		"Resources.TokenRefreshRotationPermission.Properties.Principal":                                    "secretsmanager.amazonaws.com",
		"Resources.TokenRefreshRotationPermission.Properties.SourceAccount":                                "map[Ref:AWS::AccountId]",
		"Resources.TokenRefreshTickRole.Properties.AssumeRolePolicyDocument.Statement.0.Principal.Service": "scheduler.amazonaws.com",
		"Resources.TokenRefreshTickRole.Properties.AssumeRolePolicyDocument.Statement.0.Condition":         "map[StringEquals:map[aws:SourceAccount:map[Ref:AWS::AccountId]]]",
		"Resources.TokenRefreshScheduleInvokeConfig.Properties.Qualifier":                                  localstack.Schedule,
		"Resources.TokenRefreshScheduleInvokeConfig.Properties.MaximumRetryAttempts":                       "0",
		"Resources.RefreshTicksAlarm.Properties.Dimensions.1.Value.Sub":                                    "${TokenRefreshFunction}:" + localstack.Schedule,
		"Resources.RefreshTickedBeforeAlarm.Properties.Dimensions.1.Value.Sub":                             "${TokenRefreshFunction}:" + localstack.Schedule,
	} {
		if got := fmt.Sprint(value(s, path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// value is what stands at a path as mentions writes it.
func value(s prove.Template, path string) any {
	var v any = map[string]any(s)
	for key := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			v = at[int(key[0]-'0')]
		}
	}
	return v
}

// An alias that pointed to a published version would keep that version's settings: a
// changed parameter would reach nobody until the next one is published.
func TestTemplate_AliasesFreezeNoSetting(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	aliases := map[string]bool{}
	for _, name := range s.Resources("AWS::Lambda::Alias") {
		alias, _ := s.At("Resources", name, "Properties").(map[string]any)
		aliases[fmt.Sprint(alias["Name"])] = true
		if alias["FunctionVersion"] != "$LATEST" || alias["RoutingConfig"] != nil {
			t.Errorf("%s points to version %v, with %v", name, alias["FunctionVersion"], alias["RoutingConfig"])
		}
	}
	want := slices.Sorted(slices.Values(localstack.Aliases(localstack.TokenRefresh)))
	if got := slices.Sorted(maps.Keys(aliases)); !slices.Equal(got, want) {
		t.Errorf("aliases %v, want %v", got, want)
	}
	if got := s.Resources("AWS::Lambda::Version"); len(got) != 0 {
		t.Errorf("published versions %v", got)
	}
	for _, at := range append(s.Resources("AWS::Serverless::Function"), "") {
		properties := s.At("Resources", at, "Properties")
		if at == "" {
			properties = s.At("Globals", "Function")
		}
		if m, _ := properties.(map[string]any); m["AutoPublishAlias"] != nil {
			t.Errorf("%q publishes versions", at)
		}
	}
}

// Two stacks of one account have no schedule of one name.
func TestTemplate_SchedulesHaveNoFixedName(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	for _, schedule := range s.Resources("AWS::Scheduler::Schedule") {
		if name := s.At("Resources", schedule, "Properties", "Name"); name != nil {
			t.Errorf("%s is %v in every stack", schedule, name)
		}
	}
}
