package repotest_test

import (
	"slices"
	"testing"

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
		if deletion == nil && replacement == nil {
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
