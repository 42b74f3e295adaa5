package main

import (
	"strings"
	"testing"

	"hikyaku/internal/webhookrelay/reconcile"
)

// Users whose linked member is in no list are in no other number of the report.
func TestSentences_TellOfLostMembers(t *testing.T) {
	t.Parallel()
	const says = "Linked members in no list: 1,"
	if text := sentences(reconcile.Report{Users: 24, Members: 23, Matched: 23, Lost: 1}, 0).String(); !strings.Contains(text, says) {
		t.Errorf("nothing says %q:\n%s", says, text)
	}
	if text := sentences(reconcile.Report{Users: 24, Members: 24, Matched: 24}, 0).String(); strings.Contains(text, "in no list") {
		t.Errorf("somebody is said to be lost:\n%s", text)
	}
}
