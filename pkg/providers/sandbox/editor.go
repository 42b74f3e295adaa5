package sandbox

import "encoding/json"

// An Editor is a sandbox whose records a person may change by hand, as on the
// provider's own pages: what hangs on a change there, such as a webhook, follows here.
type Editor interface {
	// Kinds are the kinds of record that the provider has.
	Kinds() []RecordKind
	// List returns the records of a kind that hold all the words of a search, and how
	// many there are beyond the page.
	List(kind string, q RecordQuery) (page []Row, total int, err error)
	// Save changes the named fields of a record, or makes one where id is empty, and
	// returns its id. A value that the provider would refuse is an error in its words.
	Save(kind, id string, fields map[string]string) (string, error)
	// Delete takes a record away.
	Delete(kind, id string) error
}

// An Editable sandbox has an Editor. All five providers' have one; it is not the
// sandbox itself, whose own Delete some tests call with other arguments.
type Editable interface {
	// ByHand returns the editor of the records.
	ByHand() Editor
}

// A RecordKind is a kind of record, such as a user or an order.
type RecordKind struct {
	Name   string // such as "users"; as a path has it
	Fields []RecordField
	Fixed  bool // nothing of the kind can be made or deleted by hand
}

// A RecordField is what can be written in one place of a record, and how a form offers it.
type RecordField struct {
	Name     string // the provider's
	Label    string // of a field that the shop has named; empty: the provider's own word is enough
	Required bool
	ReadOnly bool
	Secret   bool     // can be written, and is never shown
	Choices  []string // if not empty, the only values but none
}

// A RecordQuery chooses a page of records.
type RecordQuery struct {
	Search       string // words, in any field
	Skip, Length int
}

// A Row is one record as a person sees it.
type Row struct {
	ID     string
	Fields map[string]string // by name; what is absent has no value
}

// PlainValues are a record's values as a person sees them: what is no text is JSON, and null has
// no value.
func PlainValues(values map[string]json.RawMessage) map[string]string {
	fields := map[string]string{}
	for name, raw := range values {
		var text *string
		if json.Unmarshal(raw, &text) != nil {
			fields[name] = string(raw)
		} else if text != nil {
			fields[name] = *text
		}
	}
	return fields
}

// A Trouble is a way to misbehave that lasts until it is switched off.
type Trouble struct {
	ID       string  // such as "outage" or "short-pages"
	Provider string  // empty: of the stack itself
	On       bool    // it is in force
	Amount   float64 // seconds of a latency, or a share of the requests from 0 to 1; 0 where there is nothing to choose
	Met      int     // requests that met it since it was switched on
}

// A Troublemaker is what can be made to misbehave while it runs.
type Troublemaker interface {
	// Troubles are all its ways, on and off, always in the same order.
	Troubles() []Trouble
	// SetTrouble switches one on or off. Amount counts where the trouble has one.
	SetTrouble(id string, on bool, amount float64) error
}
