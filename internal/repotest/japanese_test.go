package repotest_test

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const japanese = "docs/ja"

// translated are the pages that people need who read no English.
var translated = []string{"deploy.md", "operate.md", "runbook.md"}

// A part of a page is a heading and what follows it, up to the next heading.
type part struct {
	level  string   // of the heading: its #
	fences []string // with all that stands in them
	spans  []string // what stands in backquotes: names, commands, queries
	links  []string // where they lead, without the headings of translated pages
	shape  string   // of rows, items and paragraphs
}

var (
	startOfPart = regexp.MustCompile(`(?m)^#+ .*$`)
	item        = regexp.MustCompile(`^ *(?:- |\d+\. )`)
)

// partsOf takes a page apart, so that it can be compared with its translation.
func partsOf(t *testing.T, name string) (parts []part, titles []string) {
	t.Helper()
	var fences []string
	page := fenced.ReplaceAllStringFunc(string(readFile(t, name)), func(fence string) string {
		fences = append(fences, fence)
		return "FENCE"
	})
	starts := startOfPart.FindAllStringIndex(page, -1)
	for i, start := range starts {
		end := len(page)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		heading, body := page[start[0]:start[1]], page[start[1]:end]
		level, title, _ := strings.Cut(heading, " ")
		p := part{level: level}
		for range strings.Count(body, "FENCE") {
			p.fences, fences = append(p.fences, fences[0]), fences[1:]
		}
		for _, span := range quoted.FindAllStringSubmatch(body, -1) {
			p.spans = append(p.spans, span[1])
		}
		slices.Sort(p.spans)
		for _, link := range linked.FindAllStringSubmatch(body, -1) {
			p.links = append(p.links, target(name, link[1]))
		}
		slices.Sort(p.links)
		for line := range strings.SplitSeq(body, "\n") {
			switch {
			case strings.HasPrefix(line, "|"):
				p.shape += "|"
			case item.MatchString(line):
				p.shape += "-"
			case strings.TrimSpace(line) != "":
				p.shape += "p"
			}
		}
		parts, titles = append(parts, p), append(titles, title)
	}
	return parts, titles
}

// target is where a link of a page leads: the heading only if the page that it leads to
// has no translation, whose headings are other words.
func target(name, link string) string {
	if strings.Contains(link, "://") {
		return link
	}
	to, anchor, _ := strings.Cut(link, "#")
	leads := name
	if to != "" {
		leads = path.Join(path.Dir(name), to)
	}
	if base := path.Base(leads); slices.Contains(translated, base) {
		return base
	}
	return leads + "#" + anchor
}

// Each translation says what the English page says: it has the same headings, tables,
// items, names, commands and links in the same places.
func TestJapanese_IsWhole(t *testing.T) {
	t.Parallel()
	for _, base := range translated {
		english, titles := partsOf(t, "docs/"+base)
		other, _ := partsOf(t, path.Join(japanese, base))
		if len(english) != len(other) {
			t.Errorf("%s: the translation has %d headings, the page %d", base, len(other), len(english))
			continue
		}
		for i := range english {
			want, got := english[i], other[i]
			if want.level != got.level || want.shape != got.shape {
				t.Errorf("%s, %q: the translation is %s %q, want %s %q", base, titles[i], got.level, got.shape, want.level, want.shape)
			}
			if !slices.Equal(want.fences, got.fences) {
				t.Errorf("%s, %q: the translation has other blocks: %q, want %q", base, titles[i], got.fences, want.fences)
			}
			if missing, more := less(want.spans, got.spans), less(got.spans, want.spans); missing != nil || more != nil {
				t.Errorf("%s, %q: the translation lacks the names %q and has %q", base, titles[i], missing, more)
			}
			if missing, more := less(want.links, got.links), less(got.links, want.links); missing != nil || more != nil {
				t.Errorf("%s, %q: the translation lacks the links %q and has %q", base, titles[i], missing, more)
			}
		}
	}
}

// less are the words of one sorted list that another has not, as often as it has not.
func less(all, without []string) (rest []string) {
	without = slices.Clone(without)
	for _, word := range all {
		if i := slices.Index(without, word); i >= 0 {
			without = slices.Delete(without, i, i+1)
		} else {
			rest = append(rest, word)
		}
	}
	return rest
}

// README.ja.md leads to each page in Japanese, and sends nobody to an English one that
// there is in Japanese.
func TestJapanese_IsListed(t *testing.T) {
	t.Parallel()
	readme := string(readFile(t, "README.ja.md"))
	entries, err := os.ReadDir(path.Join(root, japanese))
	if err != nil || len(entries) != len(translated) {
		t.Fatalf("%d pages in Japanese, want %d: %v", len(entries), len(translated), err)
	}
	for _, entry := range entries {
		if !slices.Contains(translated, entry.Name()) || !strings.Contains(readme, "("+path.Join(japanese, entry.Name())) {
			t.Errorf("README.ja.md does not lead to %s", entry.Name())
		}
		if strings.Contains(readme, "(docs/"+entry.Name()) {
			t.Errorf("README.ja.md leads to docs/%s, which there is in Japanese", entry.Name())
		}
	}
}
