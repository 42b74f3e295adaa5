package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var day = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)

var some = []file{{"hikyaku", 0o755, []byte("program")}, {"LICENSE", 0o644, []byte("license")}}

// The same files give the same archive, in whatever order they come and in whatever
// zone the day was read, and another archive where anything of them differs.
func TestPack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a.tar.gz", "a.zip"} {
		want, err := pack(name, day, some)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pack(name, day.In(time.FixedZone("JST", 9*3600)), []file{some[1], some[0]})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: order or zone changes the archive, %v", name, err)
		}
		for what, other := range map[string][]file{
			"mode": {{"hikyaku", 0o644, some[0].data}, some[1]}, "content": {{"hikyaku", 0o755, []byte("Program")}, some[1]}, "a file": some[:1],
		} {
			if got, err := pack(name, day, other); err != nil || bytes.Equal(got, want) {
				t.Errorf("%s: %s does not change the archive, %v", name, what, err)
			}
		}
		entries, err := unpack(name, want)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(entries, "; "), "LICENSE -rw-r--r-- 2026-11-30 license; hikyaku -rwxr-xr-x 2026-11-30 program"; got != want {
			t.Errorf("%s holds %s, want %s", name, got, want)
		}
	}
}

// unpack reads an archive as anybody does.
func unpack(name string, data []byte) (entries []string, err error) {
	entry := func(info os.FileInfo, at time.Time, r io.Reader) {
		content, failed := io.ReadAll(r)
		err = errors.Join(err, failed)
		entries = append(entries, fmt.Sprintf("%s %s %s %s", info.Name(), info.Mode(), at.UTC().Format(time.DateOnly), content))
	}
	if strings.HasSuffix(name, ".zip") {
		r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil, err
		}
		for _, f := range r.File {
			content, err := f.Open()
			if err != nil {
				return nil, err
			}
			entry(f.FileInfo(), f.Modified, content)
		}
		return entries, err
	}
	compressed, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(compressed); ; {
		h, failed := r.Next()
		if errors.Is(failed, io.EOF) {
			return entries, err
		}
		if failed != nil {
			return nil, failed
		}
		entry(h.FileInfo(), h.ModTime, r)
	}
}

// What differs with the hour or the machine is taken out of a bill; what does not
// look as expected is not passed on.
func TestTimed(t *testing.T) {
	t.Parallel()
	bill, err := timed([]byte(`{"specVersion":"1.6","version":1,"metadata":{"tools":[{"name":"x","hashes":[{"alg":"MD5","content":"00"}]}]},
		"components":[{"purl":"pkg:golang/a@v1?goarch=arm64&goos=linux","hashes":[{"alg":"SHA-256","content":"11"}]}]}`), day)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Compact(&got, bill); err != nil {
		t.Fatal(err)
	}
	want := `{"components":[{"hashes":[{"alg":"SHA-256","content":"11"}],"purl":"pkg:golang/a@v1?goarch=arm64&goos=linux"}],` +
		`"metadata":{"timestamp":"2026-11-30T00:00:00Z","tools":[{"name":"x"}]},"specVersion":"1.6","version":1}`
	if got.String() != want {
		t.Errorf("%s, want %s", &got, want)
	}
	for bad, why := range map[string]string{
		`{"serialNumber":"urn:uuid:1","metadata":{"tools":[]}}`: "serial number", `{"metadata":{}}`: "no tools", `{}`: "no metadata", `[`: "bill of materials",
	} {
		if _, err := timed([]byte(bad), day); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", bad, err, why)
		}
	}
}

func TestReadVersion(t *testing.T) {
	t.Parallel()
	if version, at, err := readVersion("../.."); err != nil || version == "" || at.IsZero() {
		t.Errorf("of the repository: %q, %v, %v", version, at, err)
	}
	for changelog, want := range map[string]string{
		"## [Unreleased]\n\n## [1.2.3] - 2026-11-30\n\n## [1.2.2] - 2026-01-01\n": "",
		"## [Unreleased]\n\n## [1.2.2] - 2026-01-01\n":                            "no heading",
		"## [1.2.3] - 2026-11-31\n":                                               "out of range",
		"## [1x2.3] - 2026-11-30\n":                                               "no heading",
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"VERSION": "1.2.3\n", "CHANGELOG.md": changelog} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		version, at, err := readVersion(dir)
		if want == "" && (err != nil || version != "1.2.3" || !at.Equal(day)) {
			t.Errorf("%q: %q, %v, %v", changelog, version, at, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", changelog, err, want)
		}
	}
}

// A module goes with its licenses and notices, and not without.
func TestLicenses(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	dir := t.TempDir()
	if err := appendLicenses(&b, "example.test/none v1.0.0", dir); err == nil {
		t.Error("a module without a license is passed on")
	}
	for _, name := range []string{"LICENSE.txt", "NOTICE", "license_test.go", "README.md"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("text of "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := appendLicenses(&b, "example.test/some v1.0.0", dir); err != nil {
		t.Fatal(err)
	}
	want := "=== example.test/some v1.0.0: LICENSE.txt\n\ntext of LICENSE.txt\n\n=== example.test/some v1.0.0: NOTICE\n\ntext of NOTICE\n\n"
	if b.String() != want {
		t.Errorf("%q, want %q", &b, want)
	}
}
