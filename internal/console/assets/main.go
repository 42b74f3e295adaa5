// Command assets bundles what the pages of the console load, from the sources in src and npm
// packages that package-lock.json pins by their digests, into ../static. The files are checked
// in, so that building hikyaku needs Go alone; the same sources make the same bytes anywhere:
//
//	npm ci --ignore-scripts
//	go run .
//
// With -check it writes nothing and fails if a file would change.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// pageBudget is what a page may weigh compressed, without the editor of the mapping; a
// sixth of it is left to the page itself.
const (
	pageBudget = 60 << 10
	ownShare   = pageBudget / 6
)

func main() {
	modules := flag.String("modules", "node_modules", "`folder` into which npm ci has put the packages")
	check := flag.Bool("check", false, "write nothing; fail if a file would change")
	flag.Parse()
	if err := run(*modules, *check); err != nil {
		fmt.Fprintln(os.Stderr, "assets:", err)
		os.Exit(1)
	}
}

func run(modules string, check bool) error {
	modules, err := filepath.Abs(modules)
	if err != nil {
		return err
	}
	if err := pinned("package-lock.json"); err != nil {
		return err
	}
	files, used, err := bundle(modules)
	if err != nil {
		return err
	}
	if err := weigh(files); err != nil {
		return err
	}
	notice, err := licenses(modules, used)
	if err != nil {
		return err
	}
	files["../static/notice.txt"] = notice
	files["../../../NOTICE"] = notice
	return put(files, check)
}

// bundle makes the files, by their paths, and names the packages in them.
func bundle(modules string) (files map[string][]byte, used map[string]bool, err error) {
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{"src/app.ts", "src/plot.ts", "src/mapping.ts", "src/app.css", "src/plot.css"},
		Outdir:            "../static",
		NodePaths:         []string{modules},
		Bundle:            true,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Charset:           api.CharsetUTF8,
		LegalComments:     api.LegalCommentsNone, // the licenses stand in NOTICE
		Target:            api.ES2022,
		Format:            api.FormatIIFE,
		Metafile:          true,
		LogLevel:          api.LogLevelWarning,
	})
	if len(result.Errors) > 0 || len(result.Warnings) > 0 {
		return nil, nil, errors.New("esbuild reported the above")
	}
	files, used = map[string][]byte{}, map[string]bool{}
	for _, file := range result.OutputFiles {
		files["../static/"+filepath.Base(file.Path)] = file.Contents
	}
	var meta struct {
		Outputs map[string]struct {
			Inputs map[string]struct{ BytesInOutput int }
		}
	}
	if err := json.Unmarshal([]byte(result.Metafile), &meta); err != nil {
		return nil, nil, err
	}
	for _, output := range meta.Outputs {
		for path, input := range output.Inputs {
			if _, in, ok := strings.Cut(filepath.ToSlash(path), "node_modules/"); ok && input.BytesInOutput > 0 {
				used[packageOf(in)] = true
			}
		}
	}
	return files, used, nil
}

// packageOf is the package of a file below node_modules.
func packageOf(path string) string {
	parts := strings.SplitN(path, "/", 3)
	if strings.HasPrefix(path, "@") {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

// weigh prints what each file weighs compressed, and refuses what leaves a page no room.
func weigh(files map[string][]byte) error {
	page := 0
	for _, path := range slices.Sorted(maps.Keys(files)) {
		var packed bytes.Buffer
		w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := w.Write(files[path]); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		fmt.Printf("%-12s %7d bytes, %6d compressed\n", filepath.Base(path), len(files[path]), packed.Len())
		if filepath.Base(path) != "mapping.js" {
			page += packed.Len()
		}
	}
	fmt.Printf("a page loads %d bytes compressed beside its own; at most %d\n", page, pageBudget-ownShare)
	if page > pageBudget-ownShare {
		return fmt.Errorf("a page would load %d bytes compressed; make it at most %d", page, pageBudget-ownShare)
	}
	return nil
}

// put writes the files, or names those that differ.
func put(files map[string][]byte, check bool) error {
	var stale []string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		old, err := os.ReadFile(path) //nolint:gosec // a name that bundle makes
		if err == nil && bytes.Equal(old, files[path]) {
			continue
		}
		if check {
			stale = append(stale, path)
			continue
		}
		if err := os.WriteFile(path, files[path], 0o600); err != nil {
			return err
		}
		if err := os.Chmod(path, 0o644); err != nil { //nolint:gosec // a file of the repository
			return err
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("not what the sources make: %s; run make console-assets", strings.Join(stale, ", "))
	}
	return nil
}
