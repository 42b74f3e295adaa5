package eventstest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// A principal is a role of the template, or a person with one of the policies of
// policies/, as IAM knows it.
type principal struct {
	name       string
	statements []statement
}

// A statement of a policy, with every name resolved.
type statement struct {
	sid                string
	deny               bool
	actions, resources []string
	conditions         map[string]map[string][]string // values by operator and key
}

// A call is what a principal asks AWS for.
type call struct {
	action, resource string
	context          map[string]string // condition keys
}

const bucketARN = "arn:aws:s3:::" + awslocal.Bucket

// physical are the names that the local stack gives what the template names otherwise.
var physical = map[string]string{
	"AWS::Partition": "aws", "AWS::Region": awslocal.Region, "AWS::AccountId": awslocal.Account, "AWS::StackName": localstack.Name,
	"AWS::URLSuffix": "amazonaws.com", "Prefix": localstack.Prefix, "Bucket": awslocal.Bucket, "Bucket.Arn": bucketARN,
	"UserQueue.Arn": awslocal.QueueARN(localstack.Queue), "DeadLetterQueue.Arn": awslocal.QueueARN(localstack.DeadLetter),
}

// arnOf is the ARN of a resource of the template that the local stack knows by its
// logical name, or not at all.
func arnOf(name string) string {
	name, _, _ = strings.Cut(name, ".")
	for _, function := range localstack.Functions() {
		resource := localstack.Resource(function)
		if name == resource {
			return lambdaARN(function)
		}
		prefix := strings.TrimSuffix(resource, "Function")
		if alias, is := strings.CutPrefix(name, prefix); is && strings.HasSuffix(alias, "Alias") {
			return lambdaARN(function + ":" + strings.ToLower(strings.TrimSuffix(alias, "Alias")))
		}
	}
	return "arn:aws:other:" + awslocal.Region + ":" + awslocal.Account + ":" + name
}

func lambdaARN(name string) string {
	return "arn:aws:lambda:" + awslocal.Region + ":" + awslocal.Account + ":function:" + name
}

func named(name string) string {
	if text, ok := physical[name]; ok {
		return text
	}
	return arnOf(name)
}

var reference = regexp.MustCompile(`\$\{([^}]+)\}`)

// resolved are the texts of a scalar or a list, intrinsic functions resolved.
func resolved(t *testing.T, v any) (texts []string) {
	t.Helper()
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, each := range v {
			texts = append(texts, resolved(t, each)...)
		}
		return texts
	case map[string]any:
		for function, argument := range v {
			text, ok := argument.(string)
			switch {
			case ok && function == "Sub":
				return []string{reference.ReplaceAllStringFunc(text, func(found string) string { return named(found[2 : len(found)-1]) })}
			case ok && (function == "Ref" || function == "GetAtt"):
				return []string{named(text)}
			}
		}
	}
	t.Fatalf("a policy names %v, which this test does not resolve", v)
	return nil
}

// known are the operators of conditions that this test knows, which decide whether one
// holds for a call's value of the key, if it has one.
var known = map[string]func(has bool, value string, wanted []string) bool{
	"StringEquals": func(has bool, value string, wanted []string) bool { return has && slices.Contains(wanted, value) },
	"Bool":         func(has bool, value string, wanted []string) bool { return has && slices.Contains(wanted, value) },
	"StringLike":   func(has bool, value string, wanted []string) bool { return has && like(wanted, value) },
	"Null":         func(has bool, _ string, wanted []string) bool { return slices.Contains(wanted, fmt.Sprint(!has)) },
	"ArnLike":      func(has bool, value string, wanted []string) bool { return has && like(wanted, value) },
	"ArnNotEquals": func(has bool, value string, wanted []string) bool { return !has || !like(wanted, value) },
	"ArnEqualsIfExists": func(has bool, value string, wanted []string) bool {
		return !has || like(wanted, value)
	},
}

// like is IAM's: an asterisk stands for any text, slashes too.
func like(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		parts := strings.Split(pattern, "*")
		rest, begins := strings.CutPrefix(text, parts[0])
		for _, part := range parts[1:max(1, len(parts)-1)] {
			at := strings.Index(rest, part)
			if at < 0 {
				return false
			}
			rest = rest[at+len(part):]
		}
		return begins && (len(parts) > 1 && strings.HasSuffix(rest, parts[len(parts)-1]) || len(parts) == 1 && rest == "")
	})
}

// readStatement reads one of the template or of policies/.
func readStatement(t *testing.T, raw map[string]any) statement {
	t.Helper()
	s := statement{
		sid: fmt.Sprint(raw["Sid"]), deny: raw["Effect"] == "Deny", conditions: map[string]map[string][]string{},
		actions: resolved(t, raw["Action"]), resources: resolved(t, raw["Resource"]),
	}
	conditions, _ := raw["Condition"].(map[string]any)
	for operator, of := range conditions {
		if known[operator] == nil {
			t.Fatalf("%s: a condition %s, which this test does not know", s.sid, operator)
		}
		s.conditions[operator] = map[string][]string{}
		for key, values := range of.(map[string]any) { //nolint:forcetypeassert // of every condition
			s.conditions[operator][key] = resolved(t, values)
		}
	}
	for name := range raw {
		if !slices.Contains([]string{"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}, name) {
			t.Fatalf("%s: an element %s, which this test does not know", s.sid, name)
		}
	}
	return s
}

// covers reports whether a statement speaks of a call.
func (s statement) covers(c call) bool {
	if !like(s.actions, c.action) || !like(s.resources, c.resource) {
		return false
	}
	for operator, keys := range s.conditions {
		for key, wanted := range keys {
			if value, has := c.context[key]; !known[operator](has, value, wanted) {
				return false
			}
		}
	}
	return true
}

// may is IAM's decision within one account: what nothing denies and a policy of the
// principal allows. The bucket's policy allows nothing.
func (p principal) may(bucket []statement, c call) bool {
	c.context["aws:PrincipalArn"] = "arn:aws:iam::" + awslocal.Account + ":role/" + localstack.Name + "-" + p.name
	c.context["aws:SecureTransport"] = "true"
	allowed := false
	for _, s := range slices.Concat(p.statements, bucket) {
		if s.covers(c) {
			if s.deny {
				return false
			}
			allowed = true
		}
	}
	return allowed
}

// bucketPolicy is the bucket's, for every principal.
func bucketPolicy(t *testing.T, template prove.Template) (statements []statement) {
	t.Helper()
	list, _ := template.At("Resources", "BucketPolicy", "Properties", "PolicyDocument", "Statement").([]any)
	for _, raw := range list {
		s := raw.(map[string]any) //nolint:forcetypeassert // of every policy
		if s["Principal"] != "*" || s["Effect"] != "Deny" {
			t.Fatalf("the bucket's policy allows something, or is not for everybody: %v", s)
		}
		statements = append(statements, readStatement(t, s))
	}
	return statements
}

// roles are those of the template that have policies, and people with those of
// policies/ for this stack.
func roles(t *testing.T, template prove.Template) (all []principal) {
	t.Helper()
	for _, role := range template.Resources("AWS::IAM::Role") {
		p := principal{name: role}
		for _, raw := range template.Statements(role) {
			p.statements = append(p.statements, readStatement(t, raw))
		}
		all = append(all, p)
	}
	paths, err := filepath.Glob(filepath.Join(root, "policies", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no policies of people: %v", err)
	}
	fill := strings.NewReplacer("REGION", awslocal.Region, "ACCOUNT", awslocal.Account, "STACK", localstack.Name, "PREFIX", localstack.Prefix, "BUCKET", awslocal.Bucket)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var document struct{ Statement []map[string]any }
		if err := json.Unmarshal([]byte(fill.Replace(string(text))), &document); err != nil {
			t.Fatal(err)
		}
		p := principal{name: "policies/" + filepath.Base(path)}
		for _, raw := range document.Statement {
			p.statements = append(p.statements, readStatement(t, raw))
		}
		all = append(all, p)
	}
	return all
}

func TestLike(t *testing.T) {
	t.Parallel()
	for pattern, texts := range map[string][2][]string{ // that match, and do not
		"a":       {{"a"}, {"", "ab", "ba"}},
		"*":       {{"", "a/b"}, nil},
		"a*":      {{"a", "ab/c"}, {"ba"}},
		"a/*/b-*": {{"a/x/b-", "a//b-1", "a/x/y/b-2/c"}, {"a/b-1", "a/x/b", "x/a/x/b-1"}},
		"*a*a":    {{"aa", "xaya"}, {"a", "aab"}},
	} {
		for i, want := range []bool{true, false} {
			for _, text := range texts[i] {
				if got := like([]string{"other", pattern}, text); got != want {
					t.Errorf("%q is like %q: %t", text, pattern, got)
				}
			}
		}
	}
}
