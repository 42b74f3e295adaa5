package repotest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	pin     = regexp.MustCompile(`^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)`)
	digest  = regexp.MustCompile(`^\s+--hash=sha256:[0-9a-f]{64}( \\)?$`)
	comment = regexp.MustCompile(`^\s*#`)
)

// lockFaults says what in a list of Python packages is not one exact release with the
// digests of its files, and which release that the .in names is not in it.
func lockFaults(in, lock string) (faults []string) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Sprintf(format, a...)) }
	locked, last, digests := map[string]bool{}, "", 0
	end := func() {
		if last != "" && digests == 0 {
			fault("%s has no digest", last)
		}
	}
	for line := range strings.Lines(lock) {
		line = strings.TrimSuffix(line, "\n")
		switch m := pin.FindStringSubmatch(line); {
		case comment.MatchString(line):
		case digest.MatchString(line):
			digests++
		case m != nil:
			end()
			last, digests = m[1], 0
			locked[m[1]+"=="+m[2]] = true
		default: // an index, a link, a range
			fault("%q is not NAME==VERSION with digests", line)
		}
	}
	end()
	for line := range strings.Lines(in) {
		if m := pin.FindStringSubmatch(line); m != nil && !locked[m[1]+"=="+m[2]] {
			fault("%s==%s is not locked", m[1], m[2])
		}
	}
	if len(locked) == 0 {
		fault("nothing is locked")
	}
	return faults
}

// Every Python package that CI installs is one exact release, known by its digest,
// from whatever index the machine uses.
func TestRequirements(t *testing.T) {
	t.Parallel()
	ci, err := os.ReadFile(filepath.Join(root, ".ci/run"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(ci), "pip\" install"); n != 1 || !strings.Contains(string(ci), "--require-hashes --no-deps") {
		t.Errorf(".ci/run calls pip in %d places, want the one that requires digests", n)
	}
	lists, err := filepath.Glob(root + "/requirements/*.in")
	if err != nil || len(lists) == 0 {
		t.Fatal(lists, err)
	}
	for _, name := range lists {
		in, err := os.ReadFile(filepath.Clean(name))
		if err != nil {
			t.Fatal(err)
		}
		lock, err := os.ReadFile(strings.TrimSuffix(name, ".in") + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range lockFaults(string(in), string(lock)) {
			t.Errorf("%s: %s: run scripts/lock-python.sh", filepath.Base(name), fault)
		}
		if environment := strings.TrimSuffix(filepath.Base(name), ".in"); !strings.Contains(string(ci), "\tvenv "+environment+"\n") {
			t.Errorf(".ci/run does not install requirements/%s.txt", environment)
		}
	}
}

func TestRequirements_FaultsAreFound(t *testing.T) {
	t.Parallel()
	hash := "    --hash=sha256:" + strings.Repeat("0a", 32)
	good := "# made by a tool\na-b==1.0 ; sys_platform == 'win32' \\\n" + hash + " \\\n" + hash + "\n    # via c\n"
	for lock, want := range map[string]string{
		good: "", good + "c==2.0\n": "c has no digest", "c==2.0\n" + good: "c has no digest", "--index-url https://index.example\n" + good: "index.example",
		good + "c>=2.0 \\\n" + hash + "\n": "c>=2.0", strings.Replace(good, "1.0", "1.1", 1): "a-b==1.0 is not locked", "# nothing\n": "nothing is locked",
		strings.Replace(good, "sha256:0a", "md5:0a", 1): "md5",
	} {
		got := strings.Join(lockFaults("# why\na-b[extra]==1.0\nd>=1\n", lock), "; ")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", lock, got, want)
		}
	}
}
