package repotest_test

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	linked  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// Each link from a page to another, or to a heading, leads there.
func TestPages_LinksLead(t *testing.T) {
	t.Parallel()
	pages, links := map[string]string{}, 0
	walk(t, func(name string) {
		if path.Ext(name) == ".md" {
			pages[name] = string(fenced.ReplaceAll(readFile(t, name), nil))
		}
	})
	for name, text := range pages {
		for _, link := range linked.FindAllStringSubmatch(text, -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			links++
			to, anchor, _ := strings.Cut(link[1], "#")
			target := name
			if to != "" {
				target = path.Join(path.Dir(name), to)
			}
			if _, err := os.Stat(path.Join(root, target)); err != nil {
				t.Errorf("%s: (%s) leads nowhere", name, link[1])
				continue
			}
			if page, is := pages[target]; anchor != "" && (!is || !slices.Contains(anchors(page), anchor)) {
				t.Errorf("%s: (%s) is no heading of %s", name, link[1], target)
			}
		}
	}
	if links < 200 {
		t.Errorf("%d links were found: they are not looked for well", links)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(path.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// anchors are the names by which GitHub leads to a page's headings.
func anchors(page string) (names []string) {
	for _, h := range heading.FindAllStringSubmatch(page, -1) {
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsNumber(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, h[1]))
	}
	return names
}

// The glossary has the words that newcomers asked for, each once and in the order of
// the alphabet, and says where each is explained.
func TestGlossary(t *testing.T) {
	t.Parallel()
	var before string
	var words []string
	rows := bytes.Split(readFile(t, "docs/glossary.md"), []byte("\n"))
	for _, row := range rows {
		cells := strings.Split(strings.Trim(string(row), "| "), " | ")
		if len(cells) < 2 || cells[0] == "word" {
			continue
		}
		if len(cells) != 3 || !linked.MatchString(cells[2]) {
			t.Errorf("%q says nowhere where it is explained", cells[0])
		}
		word := strings.ToLower(strings.ReplaceAll(cells[0], "`", ""))
		if word <= before {
			t.Errorf("%q stands after %q", word, before)
		}
		name, _, _ := strings.Cut(word, " (")
		words, before = append(words, name), word
	}
	for _, word := range []string{"observe", "quirk", "row", "identity", "index", "drift", "unresolved", "gone", "awaiting_list", "claim", "in doubt", "share"} {
		if !slices.Contains(words, word) {
			t.Errorf("the glossary lacks %q", word)
		}
	}
}

// README.md leads to every page of docs/.
func TestPages_AreListed(t *testing.T) {
	t.Parallel()
	readme, pages := string(readFile(t, "README.md")), 0
	walk(t, func(name string) {
		if path.Dir(name) != "docs" || path.Ext(name) != ".md" {
			return
		}
		pages++
		if !strings.Contains(readme, "("+name) {
			t.Errorf("README.md does not list %s", name)
		}
	})
	if pages < 9 {
		t.Errorf("%d pages were found", pages)
	}
}

// place is what stands in backquotes on a page and begins as a folder of the repository.
var place = regexp.MustCompile("`((?:\\.ci|cmd|config|docs|events|functions|internal|pkg|policies|requirements|scripts)/[\\w./-]*\\w)`")

// A page names no file that is not there, and no decision is missing between the first
// and the last.
func TestPages_NameFilesThatExist(t *testing.T) {
	t.Parallel()
	named, decisions := 0, 0
	walk(t, func(name string) {
		if path.Ext(name) != ".md" || name == "CONTRIBUTING.md" || name == "CHANGELOG.md" || strings.Contains(name, "/testdata/") {
			return // which speak of providers to come, and of what was
		}
		if path.Dir(name) == "docs/decisions" {
			decisions++
			if number := fmt.Sprintf("%04d-", decisions); !strings.HasPrefix(path.Base(name), number) {
				t.Errorf("%s stands where decision %s should", name, number)
			}
		}
		for _, file := range place.FindAllStringSubmatch(string(readFile(t, name)), -1) {
			named++
			dir, base := path.Split(file[1])
			symbol, _, _ := strings.Cut(base, ".") // of the package that stands before it
			_, err := os.Stat(path.Join(root, file[1]))
			if _, missing := os.Stat(path.Join(root, dir, symbol)); err != nil && missing != nil {
				t.Errorf("%s: there is no %s", name, file[1])
			}
		}
	})
	if named < 50 || decisions < 30 {
		t.Errorf("%d files and %d decisions were found: they are not looked for well", named, decisions)
	}
}
