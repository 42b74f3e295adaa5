// Package doctor says what is wrong with a stack, what each finding means, and which
// command to run next. It is given what was observed and asks nobody:
//
//	for _, finding := range doctor.Examine(observations) {
//		fmt.Println(finding.Severity, finding.Message, finding.Next)
//	}
//
// The table of all findings is in kinds.go; docs/runbook.md explains each.
package doctor

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"hikyaku/internal/locale"
)

// A Severity says how soon somebody has to act, in the words of the alarms.
type Severity string

// The severities, the gravest first.
const (
	Critical Severity = "Critical" // now, before something is lost
	High     Severity = "High"     // today
	Warning  Severity = "Warning"  // this week
	Note     Severity = "Note"     // good to know
)

// Severities lists them, the gravest first.
func Severities() []Severity { return []Severity{Critical, High, Warning, Note} }

// A Finding is one thing that is not as it should be.
type Finding struct {
	ID       string   `json:"id"` // of its kind; it stays the same over versions
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"` // what it is about, such as a provider or a dataset
	Message  string   `json:"message"`
	Next     string   `json:"next"` // the command to run next

	says   string         // of its kind
	detail locale.Message // what stands in it
}

// MessageIn is the message in a language.
func (f Finding) MessageIn(l locale.Language) string {
	return strings.NewReplacer("{subject}", f.Subject, "{detail}", f.detail.In(l)).Replace(l.Text(f.says))
}

// A Kind is what findings of one id have in common. Says and Next hold {subject} and
// {detail}, and Next also {stack}, and the flags with which commands find it: {hikyaku}
// and {aws} of each, {account} of those of hikyaku that need no stack.
type Kind struct {
	ID       string
	Severity Severity
	Source   Source // without which it cannot be looked for
	Says     string
	Next     string
}

// Examine finds what is wrong, the gravest first.
func Examine(o Observations) []Finding {
	f := &finder{o: &o}
	for source, why := range o.Unread {
		f.add("unread", string(source), why)
	}
	for _, area := range areas {
		if o.read(area.source) {
			area.look(&o, f)
		}
	}
	order := Severities()
	slices.SortStableFunc(f.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Severity), slices.Index(order, b.Severity)), strings.Compare(a.ID, b.ID), strings.Compare(a.Subject, b.Subject))
	})
	return f.found
}

// read reports whether what lies in a source is known.
func (o *Observations) read(s Source) bool {
	_, unread := o.Unread[s]
	return !unread && !o.Skipped[s]
}

// Checked lists the ids that could be looked for: all whose source was read.
func Checked(o Observations) []string {
	ids := []string{}
	for _, k := range kinds {
		if o.read(k.Source) {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// Kinds lists all kinds of findings.
func Kinds() []Kind { return slices.Clone(kinds) }

// areas are what is looked at, each by what was read of one source.
var areas = []struct {
	source Source
	look   func(*Observations, *finder)
}{
	{FromStack, lookAtStack},
	{FromFunctions, lookAtFunctions},
	{FromFunctions, lookAtRetention},
	{FromAccount, lookAtAccount},
	{FromSecrets, lookAtSecrets},
	{FromSecrets, lookAtCredentials},
	{FromProviders, lookAtProbes},
	{FromMapping, lookAtMapping},
	{FromFields, lookAtFields},
	{FromWebhook, lookAtWebhook},
	{FromHooks, lookAtHooks},
	{FromQueues, lookAtQueues},
	{FromMetrics, lookAtMetrics},
	{FromRelay, lookAtRelay},
	{FromExports, lookAtExports},
	{FromExecutions, lookAtExecutions},
	{FromAlarms, lookAtAlarms},
	{FromTopic, lookAtTopic},
	{FromPauses, lookAtPauses},
	{FromSchedules, lookAtTriggers},
}

// A finder collects findings.
type finder struct {
	o     *Observations
	found []Finding
}

// add adds a finding of a kind. An empty subject is the stack.
func (f *finder) add(id, subject, detail string) { f.addSaid(id, subject, locale.T(detail), "") }

// addNext is add with another command than the kind's, unless it is empty.
func (f *finder) addNext(id, subject, detail, next string) {
	f.addSaid(id, subject, locale.T(detail), next)
}

// addSaid is addNext with a detail that is put into the reader's language.
func (f *finder) addSaid(id, subject string, said locale.Message, next string) {
	detail := said.String()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.ID == id })
	if i < 0 {
		panic("doctor: no kind of finding is called " + id)
	}
	k, at := kinds[i], f.o.Place
	subject = cmp.Or(subject, at.Stack)
	says := strings.NewReplacer("{subject}", subject, "{detail}", detail)
	runs := strings.NewReplacer("{subject}", Word(subject), "{detail}", Word(detail), "{stack}", Word(at.Stack), "{hikyaku}", at.Hikyaku, "{account}", at.Account, "{aws}", at.AWS)
	f.found = append(f.found, Finding{ID: id, Severity: k.Severity, Subject: subject, Message: says.Replace(k.Says), Next: strings.TrimSpace(runs.Replace(cmp.Or(next, k.Next))), says: k.Says, detail: said})
}

// plain are words that a shell takes as they are.
var plain = regexp.MustCompile(`^[\w./:@=+,-]+$`)

// Word is a text as one word of a shell's command, in which nothing has a meaning of its
// own: a person copies the command, and others have named what stands in it.
func Word(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
