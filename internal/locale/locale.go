// Package locale says the texts of the command line in the language of the person who
// reads them. A text is written in English where it is made, and is its own key: what
// the catalog of another language lacks stays English, so that nothing is ever empty.
//
//	language := locale.Of(os.Getenv)
//	fmt.Println(language.Sprintf("%d rows in %d parts", rows, parts))
//
// An error keeps its English words, which logs and JSON show, and is translated once, where
// it is printed:
//
//	err := locale.Errorf("reading %s: %w", name, err)
//	fmt.Fprintln(os.Stderr, language.Error(err))
package locale

import (
	_ "embed" // the catalogs
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
)

// A Language is one that texts can be shown in.
type Language string

// The languages. Any other is shown English.
const (
	English  Language = "en"
	Japanese Language = "ja"
)

// Of is the language that an environment asks for. As in every program that follows
// POSIX, the first of the variables that is not empty counts.
func Of(getenv func(string) string) Language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := getenv(name); value != "" {
			if strings.HasPrefix(strings.ToLower(value), string(Japanese)) {
				return Japanese
			}
			return English
		}
	}
	return English
}

//go:embed ja.json
var japanese []byte

// japaneseTexts are read once, and only where somebody reads Japanese.
var japaneseTexts = sync.OnceValue(func() map[string]string {
	var texts map[string]string
	if err := json.Unmarshal(japanese, &texts); err != nil {
		panic("locale: ja.json: " + err.Error()) // a test reads it
	}
	return texts
})

// Texts are a language's, by the English ones; English has none.
func (l Language) Texts() map[string]string {
	if l != Japanese {
		return nil
	}
	return maps.Clone(japaneseTexts())
}

// Has reports whether a text can be shown in the language.
func (l Language) Has(english string) bool {
	if l != Japanese {
		return true
	}
	_, has := japaneseTexts()[english]
	return has
}

// Text is a text in the language; the English one where there is none.
func (l Language) Text(english string) string {
	if l == Japanese {
		if text, has := japaneseTexts()[english]; has {
			return text
		}
	}
	return english
}

// Sprintf formats in the language. Arguments that are messages or errors are shown in it
// too.
func (l Language) Sprintf(format string, values ...any) string {
	if len(values) == 0 {
		return l.Text(format)
	}
	if l != Japanese {
		return fmt.Sprintf(strings.ReplaceAll(format, "%w", "%v"), values...)
	}
	said := make([]any, len(values))
	for i, value := range values {
		switch value := value.(type) {
		case Message:
			said[i] = value.In(l)
		case error:
			said[i] = l.Error(value)
		default:
			said[i] = value
		}
	}
	return fmt.Sprintf(strings.ReplaceAll(l.Text(format), "%w", "%v"), said...)
}

// A Message is a text with its values, which is put into a language where it is shown.
type Message struct {
	format string
	values []any
}

// M makes a message. Its format is the key of the catalogs.
func M(format string, values ...any) Message {
	if false {
		_ = fmt.Sprintf(format, values...) // so that go vet compares verbs and values
	}
	return Message{format, values}
}

// T makes a message of a text without values, which may hold any characters.
func T(text string) Message { return Message{format: text} }

// In is the message in a language.
func (m Message) In(l Language) string { return l.Sprintf(m.format, m.values...) }

// String is the message in English.
func (m Message) String() string { return m.In(English) }

// A messageError is an error whose words can be translated.
type messageError struct {
	Message

	err error // in English, and what it wraps
}

// Error is in English.
func (e *messageError) Error() string { return e.err.Error() }

// Unwrap is what the error wraps.
func (e *messageError) Unwrap() error { return e.err }

// Errorf is fmt.Errorf for an error that can be shown in any language.
func Errorf(format string, values ...any) error {
	return &messageError{Message{format, values}, fmt.Errorf(format, values...)}
}

// A Speaker is an error of another type that can be shown in any language.
type Speaker interface {
	error

	Says() Message
}

// Error is what an error says, in the language as far as it is known there.
func (l Language) Error(err error) string {
	if l != Japanese {
		return err.Error()
	}
	if speaker, ok := err.(Speaker); ok { //nolint:errorlint // what it wraps is asked below
		return speaker.Says().In(l)
	}
	if e, ok := err.(*messageError); ok { //nolint:errorlint // what it wraps is asked below
		return e.In(l)
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var said, english []string
		for _, one := range joined.Unwrap() {
			said, english = append(said, l.Error(one)), append(english, one.Error())
		}
		if strings.Join(english, "\n") == err.Error() {
			return strings.Join(said, "\n")
		}
	}
	if inner := errors.Unwrap(err); inner != nil && inner.Error() == err.Error() {
		return l.Error(inner)
	}
	if file, ok := err.(*fs.PathError); ok { //nolint:errorlint // what wraps one is asked above
		return l.Sprintf("%s cannot be opened or written: %s", file.Path, T(file.Err.Error()))
	}
	return l.around(err)
}

// around translates an error of another package: all of it if it is known, or what its
// chain says after the last colon that introduces a known error.
func (l Language) around(err error) string {
	text := err.Error()
	if l.Has(text) {
		return l.Text(text)
	}
	if inner := errors.Unwrap(err); inner != nil && strings.HasSuffix(text, inner.Error()) {
		if said := l.Error(inner); said != inner.Error() {
			return strings.TrimSuffix(text, inner.Error()) + said
		}
	}
	return text
}

// Join is several messages with a text between them.
func Join(messages []Message, between string) Message {
	values := make([]any, len(messages))
	for i, m := range messages {
		values[i] = m
	}
	verbs := strings.Repeat("%s"+strings.ReplaceAll(between, "%", "%%"), len(messages))
	return Message{strings.TrimSuffix(verbs, between), values}
}
