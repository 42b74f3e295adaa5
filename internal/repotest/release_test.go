package repotest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// changelogHeading is a version's in CHANGELOG.md.
var changelogHeading = regexp.MustCompile(`^## \[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)$`)

// changelogFaults says what in a changelog is not as Keep a Changelog has it, or
// as a release reads it: the date of the version that VERSION holds is the time of
// every file in it.
func changelogFaults(version, changelog string) (faults []string) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Sprintf(format, a...)) }
	var newest, before, date string
	unreleased := 0
	for line := range strings.Lines(changelog) {
		line = strings.TrimSuffix(line, "\n")
		switch m := changelogHeading.FindStringSubmatch(line); {
		case line == "## [Unreleased]":
			if unreleased++; before != "" {
				fault("[Unreleased] stands below a version")
			}
		case m != nil:
			if _, err := time.Parse(time.DateOnly, m[4]); err != nil {
				fault("%s: no such day", line)
			}
			// Each number in four digits, so that the order of text is that of versions.
			order := fmt.Sprintf("%4s.%4s.%4s", m[1], m[2], m[3])
			if before != "" && (order >= before || m[4] > date) {
				fault("%s stands below an older version", line)
			}
			if before, date = order, m[4]; newest == "" {
				newest = m[1] + "." + m[2] + "." + m[3]
			}
		case strings.HasPrefix(line, "## "):
			fault("%s: want ## [1.2.3] - 2006-01-02", line)
		case strings.HasPrefix(line, "### "):
			kinds := []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
			if !slices.Contains(kinds, strings.TrimPrefix(line, "### ")) {
				fault("%s: want one of %v", line, kinds)
			}
		}
	}
	if unreleased != 1 {
		fault("[Unreleased] stands there %d times", unreleased)
	}
	if version != newest+"\n" {
		fault("VERSION holds %q, the newest version is %q", version, newest)
	}
	return faults
}

func TestChangelog(t *testing.T) {
	t.Parallel()
	version, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	changelog, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range changelogFaults(string(version), string(changelog)) {
		t.Error("CHANGELOG.md:", fault)
	}
}

func TestChangelog_FaultsAreFound(t *testing.T) {
	t.Parallel()
	for changelog, want := range map[string]string{
		"## [Unreleased]\n\n## [1.10.0] - 2026-02-01\n### Fixed\n\n## [1.9.0] - 2026-01-01\n": "",
		"## [1.10.0] - 2026-02-01\n":                                            "Unreleased",
		"## [1.10.0] - 2026-02-01\n## [Unreleased]\n":                           "below a version",
		"## [Unreleased]\n## [1.10.0] - 2026-02-30\n":                           "no such day",
		"## [Unreleased]\n## [1.10.0] - 2026-02-01\n## [1.11.0] - 2026-01-01\n": "older version",
		"## [Unreleased]\n## [1.10.0] - 2026-02-01\n## [1.9.0] - 2026-03-01\n":  "older version",
		"## [Unreleased]\n## 1.10.0\n## [1.10.0] - 2026-02-01\n":                "want ##",
		"## [Unreleased]\n### Improved\n## [1.10.0] - 2026-02-01\n":             "want one of",
		"## [Unreleased]\n## [1.11.0] - 2026-02-01\n## [1.10.0] - 2026-02-01\n": "VERSION holds",
	} {
		if got := strings.Join(changelogFaults("1.10.0\n", changelog), "; "); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", changelog, got, want)
		}
	}
}

// Reports go where nobody else reads them, to no address that somebody would have to
// keep for ever, and SECURITY.md asks for no real data.
func TestSecurityPolicy(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"Report a vulnerability", "Never send a real key", "## In scope", "## Not in scope", "`hikyaku --version`"} {
		if !strings.Contains(string(text), says) {
			t.Errorf("SECURITY.md does not say %q", says)
		}
	}
	if strings.Contains(string(text), "@") {
		t.Error("SECURITY.md names an address of somebody")
	}
}
