package console

import (
	"testing"

	"hikyaku/internal/webhookrelay/outcome"
)

// Each class of an outcome has a word and a sentence for people, as each trigger and each
// state of a field has.
func TestCatalogs_HaveTheWordsOfTheRelay(t *testing.T) {
	texts, err := loadTexts()
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, class := range outcome.Classes() {
		keys = append(keys, "outcome."+string(class), "says."+string(class))
	}
	for _, event := range triggers() {
		keys = append(keys, "trigger."+event)
	}
	for _, f := range []fieldSide{
		{State: "fault"}, {State: "unreadable"}, {State: "absent"}, {State: "kept"}, {Changes: true}, {Differs: true}, {State: "sent", Holds: new(string)}, {Field: "password", Why: "x"},
	} {
		keys = append(keys, f.Note())
	}
	for name := range (&Server{}).labels() {
		keys = append(keys, "action."+name)
	}
	for _, key := range keys {
		if texts.byLanguage["en"][key] == "" {
			t.Errorf("no catalog has %q", key)
		}
	}
}

// labels are the names of the actions that stand on buttons.
func (s *Server) labels() map[string]action {
	named := map[string]action{}
	for _, of := range [][]action{s.relayActions(), s.wayActions(), s.peopleActions(), s.pairActions(), s.deadActions(), s.mappingActions()} {
		for _, a := range of {
			named[a.name] = a
		}
	}
	return named
}
