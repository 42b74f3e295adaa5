package console

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"golang.org/x/text/language"
)

//go:embed catalog/*.json
var catalogs embed.FS

// Languages are the languages of the console, as a browser names them.
func Languages() []string { return []string{"en", "ja", "zh-Hant"} }

// texts are what the console says, by language and key. A text may have holes: {name}.
type texts struct {
	byLanguage map[string]map[string]string
	matcher    language.Matcher
}

func loadTexts() (*texts, error) {
	t := &texts{byLanguage: map[string]map[string]string{}}
	var tags []language.Tag
	for _, name := range Languages() {
		raw, err := catalogs.ReadFile("catalog/" + name + ".json")
		if err != nil {
			return nil, err
		}
		var catalog map[string]string
		if err := json.Unmarshal(raw, &catalog); err != nil {
			return nil, fmt.Errorf("the console's texts in %s: %w", name, err)
		}
		t.byLanguage[name] = catalog
		tags = append(tags, language.MustParse(name))
	}
	t.matcher = language.NewMatcher(tags)
	return t, nil
}

const languageCookie = "hikyaku-language"

// languageOf is what a person has chosen, or else what the browser asks for.
func (t *texts) languageOf(r *http.Request) string {
	if c, err := r.Cookie(languageCookie); err == nil && t.byLanguage[c.Value] != nil {
		return c.Value
	}
	_, i := language.MatchStrings(t.matcher, r.Header.Get("Accept-Language"))
	return Languages()[i]
}

// say returns a text with its holes filled: a name, then its value, and so on. A key that
// is missing shows as it is, which a test finds.
func (t *texts) say(lang, key string, holes ...any) string {
	text, ok := t.byLanguage[lang][key]
	if !ok {
		return key
	}
	pairs := make([]string, 0, len(holes))
	for i := 0; i+1 < len(holes); i += 2 {
		pairs = append(pairs, "{"+fmt.Sprint(holes[i])+"}", fmt.Sprint(holes[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// A said is an error whose text stands in the catalogs.
type said struct{ key string }

// Error is the key, for logs.
func (e *said) Error() string { return e.key }

// saying makes an error of a text.
func saying(key string) error { return &said{key} }

// explain is the text of an error: that of the catalogs if it has one there.
func (t *texts) explain(lang string, err error) string {
	var e *said
	if errors.As(err, &e) {
		return t.say(lang, e.key)
	}
	return err.Error()
}

// word is the text of a word of the product, such as an outcome; one that has none shows
// as it is, because it may be of a newer version.
func (t *texts) word(lang, group, word string) string {
	if text, ok := t.byLanguage[lang][group+"."+word]; ok {
		return text
	}
	return word
}

// functions are what templates call, for one language.
func (t *texts) functions(lang string) template.FuncMap {
	return template.FuncMap{
		"t":    func(key string, holes ...any) string { return t.say(lang, key, holes...) },
		"word": func(group, word string) string { return t.word(lang, group, word) },
		"lang": func() string { return lang },
		// A finding of doctor's has its own English words; other languages say what its kind means.
		"finding": func(id string) string { return t.byLanguage[lang]["finding."+id] },
		"explain": func(err error) string { return t.explain(lang, err) },
		"phrases": func() (string, error) { return t.phrases(lang) },
	}
}

// editorPrefix begins the keys of the editor's own words, which it names in English.
const editorPrefix = "editor."

// phrases are the editor's words in a language, as it reads them.
func (t *texts) phrases(lang string) (string, error) {
	words := map[string]string{}
	for key, text := range t.byLanguage[lang] {
		if phrase, ok := strings.CutPrefix(key, editorPrefix); ok {
			words[phrase] = text
		}
	}
	raw, err := json.Marshal(words)
	return string(raw), err
}
