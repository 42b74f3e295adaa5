package repotest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// lifecycle are the bucket's rules.
func lifecycle(s prove.Template) (rules []map[string]any) {
	all, _ := s.At("Resources", "Bucket", "Properties", "LifecycleConfiguration", "Rules").([]any)
	for _, r := range all {
		rule, _ := r.(map[string]any)
		rules = append(rules, rule)
	}
	return rules
}

// prefix is where a rule holds.
func prefix(rule map[string]any) string {
	of, _ := rule["Prefix"].(map[string]any)
	return fmt.Sprint(of["Sub"])
}

// What ends, where and when: parts of a run in doubt by the tag that the export gives
// them, exports and what Athena reads of them together, and only if somebody says so.
func TestTemplate_WhatTheBucketEnds(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	var ends, old []string
	for _, rule := range lifecycle(s) {
		if days := rule["ExpirationInDays"]; days != nil {
			ends = append(ends, fmt.Sprint(prefix(rule), rule["TagFilters"], rule["Status"], days))
		}
		if versions, ok := rule["NoncurrentVersionExpiration"].(map[string]any); ok {
			old = append(old, fmt.Sprint(prefix(rule), rule["Status"], versions["NoncurrentDays"]))
		}
	}
	const exports = "<nil>map[If:[ExportsEnd Enabled Disabled]]map[If:[ExportsEnd map[Ref:ExportRetentionDays] 36500]]"
	slices.Sort(ends)
	if want := []string{
		"${Prefix}/athena/" + exports,
		"${Prefix}/exports/" + exports,
		"${Prefix}/exports/[map[Key:hikyaku Value:doubt]] Enabledmap[Ref:DoubtRetentionDays]",
		"${Prefix}/known/<nil>Enabled14",
		"${Prefix}/rejects/<nil>Enabledmap[Ref:RejectRetentionDays]",
	}; !equalSpaced(ends, want) {
		t.Errorf("objects end by %q, want %q", ends, want)
	}
	slices.Sort(old)
	if want := []string{
		"${Prefix}/athena/Enabledmap[Ref:OldVersionDays]", "${Prefix}/config/Enabledmap[Ref:OldVersionDays]", "${Prefix}/exports/Enabledmap[Ref:OldVersionDays]",
		"${Prefix}/known/Enabled1", "${Prefix}/rejects/Enabled1", "${Prefix}/state/Enabled1",
	}; !equalSpaced(old, want) {
		t.Errorf("old versions end by %q, want %q", old, want)
	}
	for name, want := range map[string]string{"ExportRetentionDays": "0", "RejectRetentionDays": "90", "DoubtRetentionDays": "14"} {
		if got := s.At("Parameters", name, "Default"); got != want {
			t.Errorf("%s is %v, want %s", name, got, want)
		}
	}
	if s.At("Resources", "Bucket", "Properties", "VersioningConfiguration", "Status") != "Enabled" {
		t.Error("what is written over is gone")
	}
	for _, function := range localstack.Functions() {
		policies := fmt.Sprint(s.Statements(role(function)))
		for _, action := range []string{"s3:PutObjectTagging", "s3:GetObjectTagging", "s3:DeleteObjectTagging"} {
			if reaches(policies, action) != (function == localstack.Export) {
				t.Errorf("the role of %s may %s: %t", function, action, reaches(policies, action))
			}
		}
		for _, versions := range []string{"DeleteObjectVersion", "PutLifecycle", "PutBucket", "PutObjectRetention"} {
			if strings.Contains(policies, versions) {
				t.Errorf("%s may undo what the bucket keeps: %s", function, versions)
			}
		}
	}
}

func equalSpaced(a, b []string) bool {
	squeeze := func(list []string) []string {
		var all []string
		for _, text := range list {
			all = append(all, strings.ReplaceAll(text, " ", ""))
		}
		return all
	}
	return slices.Equal(squeeze(a), squeeze(b))
}

// A key of the shop's encrypts all that holds data, for those roles alone that need it,
// and through the services that they use; without one AWS's own keys do.
func TestTemplate_EncryptsWithAKeyOfTheShops(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	const key = "map[If:[OwnKey map[Ref:KmsKeyArn] map[Ref:AWS::NoValue]]]"
	wants := map[string]string{
		"Conditions.OwnKey": "map[Not:[map[Equals:[map[Ref:KmsKeyArn] ]]]]",
		"Globals.Function.Environment.Variables.HIKYAKU_KMS_KEY":                                                         "map[Ref:KmsKeyArn]",
		"Resources.Bucket.Properties.BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault": "map[If:[OwnKey map[KMSMasterKeyID:map[Ref:KmsKeyArn] SSEAlgorithm:aws:kms] map[SSEAlgorithm:AES256]]]",
		"Resources.Bucket.Properties.BucketEncryption.ServerSideEncryptionConfiguration.0.BucketKeyEnabled":              "map[If:[OwnKey true false]]",
		"Resources.Bucket.Properties.LoggingConfiguration.If.0":                                                          "Logged",
	}
	for _, queue := range s.Resources("AWS::SQS::Queue") {
		at := "Resources." + queue + ".Properties."
		wants[at+"KmsMasterKeyId"] = key
		wants[at+"SqsManagedSseEnabled"] = "map[If:[OwnKey map[Ref:AWS::NoValue] true]]"
		wants[at+"KmsDataKeyReusePeriodSeconds"] = "map[If:[OwnKey 3600 map[Ref:AWS::NoValue]]]"
	}
	for _, group := range s.Resources("AWS::Logs::LogGroup") {
		wants["Resources."+group+".Properties.KmsKeyId"] = key
	}
	for path, want := range wants {
		if got := fmt.Sprint(value(s, path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	services := map[string][]string{
		localstack.TokenRefresh: {"s3", "secretsmanager"}, localstack.Export: {"s3", "secretsmanager"}, localstack.Ingest: {"secretsmanager", "sqs"},
		localstack.Relay: {"s3", "secretsmanager", "sqs"}, localstack.Reconcile: {"s3", "secretsmanager", "sqs"},
	}
	for _, function := range localstack.Functions() {
		var through []string
		for _, statement := range s.Statements(role(function)) {
			actions := fmt.Sprint(statement["Action"])
			if !strings.Contains(actions, "kms:") {
				continue
			}
			if actions != "[kms:Decrypt kms:GenerateDataKey]" || fmt.Sprint(statement["Resource"]) != "map[Ref:KmsKeyArn]" {
				t.Errorf("the role of %s may %s of %v", function, actions, statement["Resource"])
			}
			equals, _ := statement["Condition"].(map[string]any)["StringEquals"].(map[string]any)
			via, _ := equals["kms:ViaService"].([]any)
			for _, service := range via {
				name, _, _ := strings.Cut(fmt.Sprint(service.(map[string]any)["Sub"]), ".${AWS::Region}.${AWS::URLSuffix}")
				through = append(through, name)
			}
		}
		if !slices.Equal(through, services[function]) {
			t.Errorf("the role of %s uses the key through %v, want %v", function, through, services[function])
		}
	}
}

// Nothing that is current under state/ ends, by whatever rule: rows, links, decisions,
// leases and done runs outlive the parts.
func TestTemplate_StateNeverEnds(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	for _, rule := range lifecycle(s) {
		ends := rule["ExpirationInDays"] != nil || rule["ExpirationDate"] != nil || rule["Transitions"] != nil
		at := prefix(rule)
		const row = "${Prefix}/state/relay/row.json"
		if ends && (strings.HasPrefix(row, at) || strings.HasPrefix(at, "${Prefix}/state") || rule["Prefix"] == nil) {
			t.Errorf("the rule %v ends objects of state", rule["Id"])
		}
	}
}
