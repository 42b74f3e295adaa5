package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hikyaku/internal/locale"
)

// closeEnough is how far a clock may be off. AWS refuses calls from 5 minutes on.
const closeEnough = time.Minute

func lookAtStack(o *Observations, f *finder) {
	// An update that was rolled back to its end left the stack as it was before.
	if s := o.Status; strings.Contains(s, "FAILED") || strings.Contains(s, "ROLLBACK") && s != "UPDATE_ROLLBACK_COMPLETE" {
		f.add("stack.unfinished", "", s)
	}
	for _, other := range o.SamePrefix {
		f.add("stack.shared-prefix", other, "")
	}
	lookAtVersions(o, f)
	if o.Skew.Abs() > closeEnough {
		f.add("clock.wrong", "clock", o.Skew.Abs().Round(time.Second).String())
	}
}

// lookAtVersions compares versions, where both are known, and what each knows of the
// template, since a version under way has the number of the one before.
func lookAtVersions(o *Observations, f *finder) {
	var lacks, unknown []string
	for _, p := range parameters {
		if _, has := o.Parameters[p.Name]; !has {
			lacks = append(lacks, p.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Parameters)) {
		if !slices.ContainsFunc(parameters, func(p Parameter) bool { return p.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	stack, command := numbers(o.StackVersion), numbers(o.Version)
	order := slices.Compare(stack, command)
	if stack == nil || command == nil {
		order = 0
	}
	both := locale.M("its version is %s, and this one's %s", o.StackVersion, o.Version)
	switch {
	case order < 0:
		f.addSaid("stack.behind", "", both, "")
	case order > 0:
		f.addSaid("command.behind", "", locale.M("its version is %s, and the stack's %s", o.Version, o.StackVersion), "")
	case len(unknown) > 0:
		f.addSaid("command.behind", "", locale.M("it does not know the stack's parameters %s", strings.Join(unknown, ", ")), "")
	case len(lacks) > 0:
		f.addSaid("stack.behind", "", locale.M("it lacks the parameters %s", strings.Join(lacks, ", ")), "")
	}
}

// numbers are those of a version such as 1.2.3; nil if it is none.
func numbers(version string) []int {
	var n [3]int
	if _, err := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d.%d", &n[0], &n[1], &n[2]); err != nil {
		return nil
	}
	return n[:]
}

// Names of the functions and state machines in the template.
const (
	relayFunction = "WebhookRelayRelayFunction"
	reconcileLoop = "ReconcileLoop"
	exportLoop    = "ExportLoop"
)

func lookAtFunctions(o *Observations, f *finder) {
	for _, name := range slices.Sorted(maps.Keys(o.Functions)) {
		if faults := o.Functions[name].Faults; len(faults) > 0 {
			f.add("settings.invalid", name, strings.Join(faults, "; "))
		}
	}
	vars := o.Functions[relayFunction].Vars
	if id := Unconfirmed(vars); id != "" {
		f.add(id, "", vars["HIKYAKU_IDENTITY"])
	}
	if vars["HIKYAKU_LINK"] == "always" {
		f.add("settings.link-always", "", "")
	}
	lookAtDifferences(o, f)
	lookAtEdits(o, f)
}

// Unconfirmed is the id of the finding that nobody has agreed to the identity, without
// which the relay works on nothing; empty: somebody has, or need not.
func Unconfirmed(vars map[string]string) (id string) {
	identity := cmp.Or(vars["HIKYAKU_IDENTITY"], "id")
	switch {
	case identity == "id" && vars["HIKYAKU_IDENTITY_PREFIX"] == "" && vars["HIKYAKU_ID_IS_UNIQUE_ID"] != "yes":
		return "settings.id-unconfirmed"
	case slices.Contains(editable, identity) && vars["HIKYAKU_IDENTITY_EDITABLE"] != "yes":
		return "settings.identity-editable"
	}
	return ""
}

// editable are the fields that customers edit: tenant.EditableFields, which a test
// compares.
var editable = []string{"email", "name", "phone", "mobile", "field_1", "field_2"}

// ownOf are the settings that a function has for itself.
var ownOf = []string{"HIKYAKU_ROLE", "HIKYAKU_INSTANCES", "HIKYAKU_TOKENREFRESH_FUNCTION"}

// rewriteAll are commands that write the settings of every function anew. CloudFormation
// compares templates and parameters alone, so that one has to change, and change back.
func (o *Observations) rewriteAll() string {
	level := cmp.Or(o.Parameters["LogLevel"], "WARN")
	another := "INFO"
	if level == another {
		another = "WARN"
	}
	return deploy + " --parameter-overrides LogLevel=" + another + " && " + deploy + " --parameter-overrides LogLevel=" + Word(level)
}

// lookAtDifferences compares what several functions are told.
func lookAtDifferences(o *Observations, f *finder) {
	values := map[string]map[string][]string{} // functions, by variable and value
	for _, function := range slices.Sorted(maps.Keys(o.Functions)) {
		for name, value := range o.Functions[function].Vars {
			if slices.Contains(ownOf, name) || strings.HasSuffix(name, "_SHARE") {
				continue
			}
			if values[name] == nil {
				values[name] = map[string][]string{}
			}
			values[name][value] = append(values[name][value], function)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(values[name]) < 2 {
			continue
		}
		var said []string
		for _, value := range slices.Sorted(maps.Keys(values[name])) {
			said = append(said, fmt.Sprintf("%q in %s", value, strings.Join(values[name][value], ", ")))
		}
		f.addNext("settings.differ", name, strings.Join(said, "; "), o.rewriteAll())
	}
}

// lookAtEdits compares the functions with the stack's parameters. A variable on which the
// functions differ is told of once.
func lookAtEdits(o *Observations, f *finder) {
	for _, p := range parameters {
		want, deployed := o.Parameters[p.Name]
		if p.Variable == "" || !deployed {
			continue
		}
		got := map[string]bool{}
		for _, function := range o.Functions {
			if value, has := function.Vars[p.Variable]; has {
				got[value] = true
			}
		}
		for value := range got {
			if len(got) == 1 && !same(value, want) {
				f.addSaid("settings.edited", p.Variable, locale.M("%s is %q, not %q", p.Name, want, value), o.rewriteAll())
			}
		}
	}
}

// same compares a variable with its parameter. A number has many forms.
func same(a, b string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return a == b || errX == nil && errY == nil && x == y
}

const (
	exportsFor = 14 // days that an export is needed for at least
	logsFor    = 7
)

func lookAtRetention(o *Observations, f *finder) {
	days := func(name string) int { n, _ := strconv.Atoi(o.Parameters[name]); return n }
	if n := days("ExportRetentionDays"); n > 0 && n < exportsFor {
		f.add("retention.short", "", strconv.Itoa(n))
	}
	if n := days("LogRetentionDays"); n > 0 && n < logsFor {
		f.add("logs.short", "", strconv.Itoa(n))
	}
}

// lookAtAccount leaves room for webhooks: of each stack there run three exports, the
// relays, a comparison and a look at the tokens at a time.
func lookAtAccount(o *Observations, f *finder) {
	const exports, others, webhooks = 3, 2, 3
	relays, _ := strconv.Atoi(o.Parameters["RelayConcurrency"])
	if need := max(o.Stacks, 1) * (exports + max(relays, 2) + others + webhooks); o.Concurrency < need {
		f.add("concurrency.low", "", strconv.Itoa(o.Concurrency))
	}
}
