package locale_test

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/locale"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		all, messages, lang string
		want                locale.Language
	}{
		{"", "", "", locale.English},
		{"", "", "ja_JP.UTF-8", locale.Japanese},
		{"", "", "ja", locale.Japanese},
		{"", "C", "ja_JP.UTF-8", locale.English},
		{"C.UTF-8", "ja_JP.UTF-8", "ja_JP.UTF-8", locale.English},
		{"ja_JP.UTF-8", "C", "en_US.UTF-8", locale.Japanese},
		{"", "JA_JP.utf8", "en_US.UTF-8", locale.Japanese},
		{"", "", "zh_TW.UTF-8", locale.English},
	} {
		vars := map[string]string{"LC_ALL": c.all, "LC_MESSAGES": c.messages, "LANG": c.lang}
		if got := locale.Of(func(name string) string { return vars[name] }); got != c.want {
			t.Errorf("%+v: %s, want %s", vars, got, c.want)
		}
	}
}

const (
	known   = "stopped"
	knownIn = "中止しました"
)

func TestErrors_KeepEnglishAndTellJapanese(t *testing.T) {
	t.Parallel()
	inner := locale.Errorf(known)
	for name, err := range map[string]error{
		"itself": inner, "joined": errors.Join(inner), "wrapped": fmt.Errorf("%w", inner), "in a sentence": locale.Errorf("nobody knows this sentence: %w", inner),
		"behind another package": fmt.Errorf("of another package: %w", inner), "of another package": errors.New(known),
	} {
		if got := locale.Japanese.Error(err); !strings.HasSuffix(got, knownIn) {
			t.Errorf("%s: %q", name, got)
		}
		if got := locale.English.Error(err); got != err.Error() || !strings.HasSuffix(got, known) {
			t.Errorf("%s: %q, and English is %q", name, err, got)
		}
	}
	if err := locale.Errorf("reading: %w", io.EOF); !errors.Is(err, io.EOF) {
		t.Error("what is wrapped is lost")
	}
	if got := locale.Japanese.Sprintf("%s!", locale.M(known)); got != knownIn+"!" {
		t.Errorf("a message within another is %q", got)
	}
	if got := locale.Japanese.Text("a text that no catalog has"); got != "a text that no catalog has" {
		t.Errorf("an unknown text is %q", got)
	}
}

var verb = regexp.MustCompile(`%(?:\[(\d+)\])?[-+# 0]*\d*(?:\.\d+)?([a-zA-Z%])`)

// verbsOf are the values that a text shows, by their numbers.
func verbsOf(text string) (verbs []string) {
	next := 1
	for _, m := range verb.FindAllStringSubmatch(text, -1) {
		if m[2] == "%" {
			continue
		}
		n := next
		if m[1] != "" {
			_, _ = fmt.Sscan(m[1], &n)
		}
		next = n + 1
		verbs = append(verbs, fmt.Sprintf("%d%s", n, strings.Replace(m[2], "w", "v", 1)))
	}
	slices.Sort(verbs)
	return slices.Compact(verbs)
}

// A translation shows the same values, and is one.
func TestCatalog_ShowsTheSameValues(t *testing.T) {
	t.Parallel()
	texts := locale.Japanese.Texts()
	for english, text := range texts {
		want, got := verbsOf(english), verbsOf(text)
		for i := range want { // %s and %v show the same
			want[i] = strings.Replace(want[i], "v", "s", 1)
		}
		for i := range got {
			got[i] = strings.Replace(got[i], "v", "s", 1)
		}
		if !slices.Equal(want, got) {
			t.Errorf("%q shows %v, and %q shows %v", english, want, text, got)
		}
		if strings.TrimSpace(text) == "" {
			t.Errorf("%q is shown as nothing", english)
		}
	}
	if texts[known] != knownIn {
		t.Errorf("%q is %q", known, texts[known])
	}
}
