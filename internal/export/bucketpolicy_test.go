package export_test

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
)

// writeOnce are the patterns of keys for which template.yaml's bucket refuses a PutObject
// without If-None-Match, with this package's prefix.
func writeOnce(t *testing.T) []string {
	t.Helper()
	s := prove.ReadTemplate(t, "../..")
	statements, _ := s.At("Resources", "BucketPolicy", "Properties", "PolicyDocument", "Statement").([]any)
	for _, statement := range statements {
		of, _ := statement.(map[string]any)
		if of["Sid"] != "WriteOnce" {
			continue
		}
		if of["Effect"] != "Deny" || of["Principal"] != "*" || of["Action"] != "s3:PutObject" {
			t.Fatalf("the policy is another one: %v", of)
		}
		const unless = "map[ArnNotEquals:map[aws:PrincipalArn:map[Sub:arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${AWS::StackName}-erasure]] Null:map[s3:if-none-match:true]]"
		if got := fmt.Sprint(of["Condition"]); got != unless {
			t.Fatalf("it holds if %s", got)
		}
		var patterns []string
		resources, _ := of["Resource"].([]any)
		for _, resource := range resources {
			text := fmt.Sprint(resource.(map[string]any)["Sub"])
			patterns = append(patterns, strings.Replace(strings.TrimPrefix(text, "${Bucket.Arn}/"), "${Prefix}", "shop", 1))
		}
		return patterns
	}
	t.Fatal("the bucket's policy has no statement WriteOnce")
	return nil
}

// matches is IAM's: an asterisk stands for any text, slashes too.
func matches(pattern, key string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star || !strings.HasPrefix(key, first) {
		return pattern == key
	}
	for i := len(first); i <= len(key); i++ {
		if matches(rest, key[i:]) {
			return true
		}
	}
	return false
}

// policed is a store behind the bucket's policy.
type policed struct {
	objectstore.Store

	patterns []string
	seen     map[string]int // by the last part of the key, those of a part as one
	free     map[string]int // of keys that the policy leaves alone
}

func (p *policed) Put(ctx context.Context, o objectstore.Object) (string, error) {
	name := path.Base(o.Key)
	if !slices.ContainsFunc(p.patterns, func(pattern string) bool { return matches(pattern, o.Key) }) {
		p.free[name]++
		return p.Store.Put(ctx, o)
	}
	if strings.HasPrefix(name, "part-") {
		name = "part"
	}
	p.seen[name]++
	if !o.Condition.Absent {
		return "", fmt.Errorf("%w: %s is written without If-None-Match", providers.ErrForbidden, o.Key)
	}
	return p.Store.Put(ctx, o)
}

// What an export writes passes the bucket's policy: a whole run, one in parts, one in
// doubt, and its acceptance. Pointers and state are not the policy's.
func TestBucketPolicy_LetsEveryRunPass(t *testing.T) {
	t.Parallel()
	b, l := incremental(t, "shopline/customers")
	bucket := &policed{Store: b.store, patterns: writeOnce(t), seen: map[string]int{}, free: map[string]int{}}
	b.store = bucket
	b.extract(due)
	l.rows = newList(pagination.ByCursor, 60).rows
	l.render, b.set.MaxRejects = someBad(5), 5
	doubtful := b.doubt(due.Add(time.Hour))
	if a, err := b.exporter().Accept(t.Context(), doubtful.Doubt, "山田", "known"); err != nil || a.Status != export.Done {
		t.Fatal(a, err)
	}
	for _, name := range []string{"part", "_manifest.json", "_doubt.json"} {
		if bucket.seen[name] == 0 {
			t.Errorf("no run wrote %s: %v", name, bucket.seen)
		}
	}
	if len(bucket.seen) != 3 {
		t.Errorf("the policy holds for %v", bucket.seen)
	}
	for _, name := range []string{"latest.json", "symlink.txt"} {
		if bucket.free[name] == 0 {
			t.Errorf("%s is not written, or falls under the policy: %v", name, bucket.free)
		}
	}
	key := b.storedKeys()[0]
	if _, err := bucket.Put(t.Context(), objectstore.Object{Key: key}); err == nil {
		t.Errorf("%s is written over", key)
	}
}
