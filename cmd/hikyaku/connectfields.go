package main

import (
	"cmp"
	"io"

	"github.com/spf13/cobra"

	"hikyaku/internal/locale"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
)

// A connectForm is what 'connect --fields' answers.
type connectForm struct {
	Provider string        `json:"provider"`
	Stored   bool          `json:"stored"` // there is a connection
	Kinds    []connectKind `json:"kinds"`  // what the provider's credential may be; the stored kind is the first
}

// A connectKind is what a kind of credential needs.
type connectKind struct {
	Kind   providers.Kind `json:"kind"`
	Fields []connectField `json:"fields"`
}

// A connectField is one value of a connection's document.
type connectField struct {
	Field  string `json:"field"` // its name in the document
	Text   string `json:"text"`
	Secret bool   `json:"secret"`
	Value  string `json:"value"` // what is stored, or else the documented one; of a secret always empty
	text   locale.Message
}

// fields says what a person is asked for.
func (n *newConnection) fields(c *cobra.Command, o output) error {
	if n.provider == webhooksecret.Part {
		return &usageError{locale.Errorf("--fields is for providers: the webhook's secret is made, and nothing is asked for")}
	}
	stored, err := n.stored(c.Context())
	if err != nil {
		return err
	}
	form := connectForm{Provider: n.provider, Stored: stored.Provider != ""}
	kinds := []providers.Kind{providers.Static, providers.OneTimePair}
	if kind, one := kindOf(n.provider); one {
		kinds = []providers.Kind{kind}
	} else if stored.Kind == providers.OneTimePair {
		kinds = []providers.Kind{providers.OneTimePair, providers.Static}
	}
	for _, kind := range kinds {
		of := connectKind{Kind: kind}
		for _, q := range questions(n.provider, kind) {
			field := connectField{Field: q.field, Text: q.text.String(), text: q.text, Secret: q.secret}
			switch {
			case q.secret:
			case stored.Kind == kind:
				field.Value = visible(cmp.Or(q.get(stored), q.usual))
			default:
				field.Value = q.usual
			}
			of.Fields = append(of.Fields, field)
		}
		form.Kinds = append(form.Kinds, of)
	}
	return o.print(c, form, form.write)
}

func (f connectForm) write(out io.Writer) error {
	l, rows := languageOf(out), [][]string{}
	for _, kind := range f.Kinds {
		for _, field := range kind.Fields {
			value := cmp.Or(field.Value, "-")
			if field.Secret {
				value = l.Text("secret")
			}
			rows = append(rows, []string{string(kind.Kind), field.Field, value, field.text.In(l)})
		}
	}
	return writeTable(out, []string{"KIND", "FIELD", "VALUE", "WHAT IT IS"}, rows)
}
