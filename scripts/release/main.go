// Command release packs what 'make release' has built: the command for each system
// in an archive, each function in a zip file as Lambda takes it, beside each a
// CycloneDX bill of materials, and SHA256SUMS over all of them. Nothing in them is
// of the machine or of the hour: names are sorted, owners are nobody, and every time
// is the day of the version in CHANGELOG.md, which is there without version control,
// too.
//
// It is called in the repository's folder, with the built files below dist:
//
//	go run ./scripts/release -bom cyclonedx-gomod -commit COMMIT
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Where 'make release' puts things, from the repository's folder.
const (
	commands  = "dist/command/*/hikyaku*" // linux_amd64/hikyaku, windows_amd64/hikyaku.exe
	functions = "dist/*/*/bootstrap"      // arm64/export/bootstrap
	out       = "dist/release"
)

// documents come with every command.
var documents = []string{"LICENSE", "README.md", "README.ja.md", "CHANGELOG.md", "SECURITY.md"}

func main() {
	bom := flag.String("bom", "cyclonedx-gomod", "the program that writes the bills of materials")
	commit := flag.String("commit", "", "the commit that was built")
	flag.Parse()
	if err := run(*bom, *commit); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(bom, commit string) error {
	version, day, err := readVersion(".")
	if err != nil {
		return err
	}
	switch {
	case commit == "":
		fmt.Fprintln(os.Stderr, "release: NOT TO BE PUBLISHED: nobody knows which commit this is; build from a clone, or from what 'git archive' wrote")
	case strings.HasSuffix(commit, "-changed"):
		fmt.Fprintln(os.Stderr, "release: NOT TO BE PUBLISHED: files differ from the commit; build from a clean clone")
	}
	archives, err := find(version)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o750); err != nil {
		return err
	}
	var sums []string
	write := func(name string, data []byte) error {
		sums = append(sums, fmt.Sprintf("%x  %s\n", sha256.Sum256(data), name))
		fmt.Printf("%-55s %5.1f MB\n", name, float64(len(data))/1e6)
		return os.WriteFile(filepath.Join(out, name), data, 0o644) //nolint:gosec // it is for everybody
	}
	for _, a := range archives {
		files, err := a.files()
		if err != nil {
			return err
		}
		packed, err := pack(a.name, day, files)
		if err != nil {
			return err
		}
		bill, err := billOfMaterials(bom, a.binary, version, day)
		if err != nil {
			return err
		}
		if err := errors.Join(write(a.name, packed), write(a.name+".cdx.json", bill)); err != nil {
			return err
		}
	}
	slices.SortFunc(sums, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })      // by name
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(strings.Join(sums, "")), 0o644) //nolint:gosec // it is for everybody
}

// readVersion reads VERSION, and the day that CHANGELOG.md gives it.
func readVersion(root string) (version string, day time.Time, err error) {
	text, err := os.ReadFile(filepath.Join(root, "VERSION")) //nolint:gosec // the caller names the folder
	if err != nil {
		return "", day, err
	}
	version = strings.TrimSpace(string(text))
	changelog, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md")) //nolint:gosec // the same
	if err != nil {
		return "", day, err
	}
	heading := regexp.MustCompile(`(?m)^## \[` + regexp.QuoteMeta(version) + `\] - (\S+)$`)
	found := heading.FindSubmatch(changelog)
	if found == nil {
		return "", day, fmt.Errorf("CHANGELOG.md has no heading '## [%s] - YYYY-MM-DD': move what is unreleased below one", version)
	}
	day, err = time.Parse(time.DateOnly, string(found[1]))
	return version, day, err
}

// An archive is one file of the release.
type archive struct {
	name   string   // with the ending that says how it is packed
	binary string   // the built program
	beside []string // what else goes into it
}

// find names the archives to make of what was built.
func find(version string) ([]archive, error) {
	var all []archive
	built, err := filepath.Glob(commands)
	if err != nil {
		return nil, err
	}
	for _, binary := range built {
		system := filepath.Base(filepath.Dir(binary))
		ending := ".tar.gz"
		if strings.HasPrefix(system, "windows") {
			ending = ".zip"
		}
		all = append(all, archive{fmt.Sprintf("hikyaku_%s_%s%s", version, system, ending), binary, documents})
	}
	built, err = filepath.Glob(functions)
	if err != nil {
		return nil, err
	}
	for _, binary := range built {
		dir := filepath.Dir(binary)
		beside := []string{"LICENSE"}
		others, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, other := range others {
			if other.Name() != "bootstrap" {
				beside = append(beside, filepath.Join(dir, other.Name()))
			}
		}
		name := fmt.Sprintf("hikyaku-%s_%s_lambda_%s.zip", filepath.Base(dir), version, filepath.Base(filepath.Dir(dir)))
		all = append(all, archive{name, binary, beside})
	}
	if len(all) == 0 {
		return nil, errors.New("nothing was built below dist; 'make release' does both")
	}
	return all, nil
}

// files reads what goes into the archive: the program, what comes with it, and the
// licenses of what was linked into it, which most of them demand.
func (a archive) files() ([]file, error) {
	program, err := os.ReadFile(a.binary)
	if err != nil {
		return nil, err
	}
	notices, err := licenses(a.binary)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.binary, err)
	}
	files := []file{{filepath.Base(a.binary), 0o755, program}, {"THIRD_PARTY_LICENSES", 0o644, notices}}
	for _, name := range a.beside {
		data, err := os.ReadFile(name) //nolint:gosec // named above, or found beside the program
		if err != nil {
			return nil, err
		}
		// A checkout on Windows may have other ends of lines.
		files = append(files, file{filepath.Base(name), 0o644, bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))})
	}
	return files, nil
}
