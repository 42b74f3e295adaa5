package console

import (
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ownWords are those kinds of texts that English lacks, because a command says them.
const ownWords = "finding."

func TestCatalogs_HaveTheSameTexts(t *testing.T) {
	texts, err := loadTexts()
	if err != nil {
		t.Fatal(err)
	}
	hole := regexp.MustCompile(`\{[a-z-]+\}`)
	english := texts.byLanguage["en"]
	for _, lang := range Languages() {
		catalog := texts.byLanguage[lang]
		for key, text := range catalog {
			want, ok := english[key]
			switch {
			case strings.HasPrefix(key, ownWords):
			case !ok:
				t.Errorf("%s has %s, which English lacks", lang, key)
			case text == "":
				t.Errorf("%s has nothing for %s", lang, key)
			default:
				holes, others := hole.FindAllString(want, -1), hole.FindAllString(text, -1)
				slices.Sort(holes)
				slices.Sort(others)
				if !slices.Equal(slices.Compact(holes), slices.Compact(others)) {
					t.Errorf("%s of %s has the holes %v, in English %v", key, lang, others, holes)
				}
			}
		}
		for key := range english {
			if _, ok := catalog[key]; !ok {
				t.Errorf("%s lacks %s", lang, key)
			}
		}
	}
	if j, z := words(texts.byLanguage["ja"]), words(texts.byLanguage["zh-Hant"]); !slices.Equal(j, z) {
		t.Error("Japanese and Chinese tell other kinds of findings")
	}
}

// words are the keys of a catalog that English has none for.
func words(catalog map[string]string) (keys []string) {
	for _, key := range slices.Sorted(maps.Keys(catalog)) {
		if strings.HasPrefix(key, ownWords) {
			keys = append(keys, key)
		}
	}
	return keys
}

var (
	templateKey = regexp.MustCompile(`\bt "([a-z0-9.-]+)"`)
	goKey       = regexp.MustCompile(`\.say\([a-zA-Z.]+, "([a-z0-9.-]+)"[,)]`)
)

func TestCatalogs_HaveEachTextThatIsSaid(t *testing.T) {
	texts, err := loadTexts()
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	check := func(name, source string, keys *regexp.Regexp) {
		for _, m := range keys.FindAllStringSubmatch(source, -1) {
			said++
			if _, ok := texts.byLanguage["en"][m[1]]; !ok {
				t.Errorf("%s says %s, which no catalog has", name, m[1])
			}
		}
	}
	eachTemplate(t, func(name, source string) { check(name, source, templateKey) })
	sources, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range sources {
		if strings.HasSuffix(f.Name(), ".go") && !strings.HasSuffix(f.Name(), "_test.go") {
			raw, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			check(f.Name(), string(raw), goKey)
		}
	}
	if said < 60 {
		t.Errorf("only %d texts were found in templates and Go", said)
	}
	s := &Server{texts: texts}
	s.pages = s.allPages()
	for _, p := range s.pages {
		check("the page "+p.Name, `t "page.`+p.Name+`"`, templateKey)
	}
	for _, a := range s.allActions() {
		if !a.reads {
			check("the action "+a.name, `t "action.`+a.name+`.done"`, templateKey)
		}
	}
}

func eachTemplate(t *testing.T, f func(name, source string)) {
	t.Helper()
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		raw, err := templateFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f(name, string(raw))
	}
}

// sameEverywhere are the words that no language translates.
var sameEverywhere = []string{"飛脚", "Hikyaku", "Ctrl", "K", "SuperSaaS", "Yappli", "JSON", "YAML", "MB"}

func TestTemplates_HoldNoTextOfTheirOwn(t *testing.T) {
	action := regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	tag := regexp.MustCompile(`(?s)<code[^>]*>.*?</code>|<[^>]*>`) // a command is the same in each language
	shown := regexp.MustCompile(`(?:aria-label|title|placeholder|alt|data-copied|data-announce)="([^"]*)"`)
	word := regexp.MustCompile(`\pL{2,}`)
	eachTemplate(t, func(name, source string) {
		bare := action.ReplaceAllString(source, "")
		texts := []string{tag.ReplaceAllString(bare, " ")}
		for _, m := range shown.FindAllStringSubmatch(bare, -1) {
			texts = append(texts, m[1])
		}
		for _, w := range word.FindAllString(strings.Join(texts, " "), -1) {
			if !slices.Contains(sameEverywhere, w) {
				t.Errorf("%s holds the text %q, which belongs into the catalogs", name, w)
			}
		}
	})
}
