package webhookrelay_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"hikyaku/internal/webhookrelay"
)

// Every outcome that the code names has a sentence.
func TestSentence(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	outcome := regexp.MustCompile(`(?:\b(?:done|dead|wait|failed|askReconcile|conclude|update|put|refused)\((?:[^")\n]*, )?|class :?= |^\t\treturn |Class: )"([a-z_]+)"`)
	found := 0
	for _, name := range files {
		if matched, _ := filepath.Match("*_test.go", name); matched {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range outcome.FindAllStringSubmatch(string(source), -1) {
			found++
			if webhookrelay.Sentence(m[1]) == m[1] {
				t.Errorf("%s: %q has no sentence", name, m[1])
			}
		}
	}
	for _, class := range []string{"would_create", "would_update", "would_disable"} {
		if webhookrelay.Sentence(class) == class {
			t.Errorf("%q has no sentence", class)
		}
	}
	if found < 25 || webhookrelay.Sentence("nosuch") != "nosuch" {
		t.Errorf("%d outcomes were found", found)
	}
}
