package mapping

import (
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a function's image may hold no zones

	"github.com/expr-lang/expr/ast"
	"github.com/nyaruka/phonenumbers"
)

// A function is what an expression may call.
type function struct {
	usage       string // how it is called
	least, most int    // arguments
	lists       bool   // also of lists
	gives       func(given []kind) kind
	call        func(o *options, args []value) value
}

// many is how many arguments those functions take that take any number.
const many = 50

// functions are all that expressions may call beside predicates. What each gives
// stands in docs/mapping.md, with examples that are tests.
var functions = map[string]function{
	"fold":     textual("fold(text)", fold),
	"katakana": textual("katakana(text)", katakana),
	"hiragana": textual("hiragana(text)", hiragana),
	"trim":     textual("trim(text)", trim),
	"upper":    textual("upper(text)", strings.ToUpper),
	"lower":    textual("lower(text)", strings.ToLower),

	"left":  {"left(text, count)", 2, 2, false, plainly, left},
	"mid":   {"mid(text, from, count), where the first character is 1", 3, 3, false, plainly, mid},
	"right": {"right(text, count)", 2, 2, false, plainly, right},
	"find":  {"find(text, part)", 2, 2, false, plainly, find},
	"len":   {"len(text)", 1, 1, true, plainly, length},

	"hasPrefix": {"hasPrefix(text, part)", 2, 2, false, truly, searching(strings.HasPrefix)},
	"hasSuffix": {"hasSuffix(text, part)", 2, 2, false, truly, searching(strings.HasSuffix)},
	"replace":   {"replace(text, old, new) or replace(text, old, new, count)", 3, 4, false, plainly, replace},
	"split":     {"split(text, separator) or split(text, separator, count)", 2, 3, false, listing, split},
	"int":       {"int(text)", 1, 1, false, plainly, integer},
	"string":    {"string(number)", 1, 1, false, plainly, text},

	"join":    {"join(separator, text, ...)", 2, many, true, plainly, join},
	"default": {"default(first, second, ...)", 1, many, true, common, first},

	"e164":     {"e164(number) or e164(number, region)", 1, 2, false, plainly, e164},
	"domestic": {"domestic(number) or domestic(number, region)", 1, 2, false, plainly, domestic},
	"date":     {"date(text) or date(text, zone)", 1, 2, false, plainly, date},
}

func plainly([]kind) kind { return scalar }
func truly([]kind) kind   { return truth }
func listing([]kind) kind { return list }

// common is the kind that all arguments have.
func common(given []kind) kind {
	if slices.ContainsFunc(given, func(k kind) bool { return k != given[0] }) {
		return anything
	}
	return given[0]
}

// call calls a function. All but default pass on what cannot be read. What is
// made of a text that is not blank is never nothing: only what is empty at the
// source may empty a column.
func call(o *options, name string, args []value) value {
	if name != "default" && slices.Contains(args, unread) {
		return unread
	}
	v := functions[name].call(o, args)
	if was, ok := args[0].(string); v == "" && ok && !blank(was) && name != "join" && name != "default" {
		return unread
	}
	return v
}

// textual is a function of one text. Of nil it gives nil.
func textual(usage string, f func(string) string) function {
	return function{usage, 1, 1, false, plainly, func(_ *options, args []value) value {
		text, ok := textOf(args[0])
		switch {
		case !ok:
			return unread
		case args[0] == nil:
			return nil
		}
		return f(text)
	}}
}

// textAndCounts reads a text and the whole numbers after it.
func textAndCounts(args []value) (clusters []string, counts []int, ok bool) {
	text, ok := textOf(args[0])
	for _, a := range args[1:] {
		n, is := number(a)
		ok = ok && is && n == float64(int(n)) && n >= 0
		counts = append(counts, int(n))
	}
	return characters(text), counts, ok
}

func left(o *options, args []value) value { return mid(o, []value{args[0], 1, args[1]}) }

// mid cuts a text. Of what is shorter, it gives what is there.
func mid(_ *options, args []value) value {
	text, n, ok := textAndCounts(args)
	switch {
	case !ok || n[0] == 0:
		return unread
	case args[0] == nil:
		return nil
	}
	from := min(n[0]-1, len(text))
	return strings.Join(text[from:min(from+n[1], len(text))], "")
}

func right(_ *options, args []value) value {
	text, n, ok := textAndCounts(args)
	switch {
	case !ok:
		return unread
	case args[0] == nil:
		return nil
	}
	return strings.Join(text[max(0, len(text)-n[0]):], "")
}

// find gives the place of the first character of a part, 0 if it is not there.
func find(_ *options, args []value) value {
	text, ok := textOf(args[0])
	part, is := textOf(args[1])
	if !ok || !is || part == "" {
		return unread
	}
	before, _, found := strings.Cut(text, part)
	if !found {
		return 0
	}
	return len(characters(before)) + 1
}

func length(_ *options, args []value) value {
	if items, ok := args[0].([]any); ok {
		return len(items)
	}
	if text, ok := textOf(args[0]); ok {
		return len(characters(text))
	}
	return unread
}

// searching takes nil for an empty text.
func searching(has func(text, part string) bool) func(*options, []value) value {
	return func(_ *options, args []value) value {
		text, ok := textOf(args[0])
		part, is := textOf(args[1])
		if !ok || !is {
			return unread
		}
		return has(text, part)
	}
}

// counted reads the count that may stand at a place of the arguments; -1: all.
func counted(args []value, place int) (int, bool) {
	if len(args) <= place {
		return -1, true
	}
	n, ok := number(args[place])
	return int(n), ok && n == float64(int(n))
}

func replace(_ *options, args []value) value {
	text, ok := textOf(args[0])
	old, is := textOf(args[1])
	with, too := textOf(args[2])
	n, all := counted(args, 3)
	switch {
	case args[0] == nil:
		return nil
	case !ok || !is || !too || !all || old == "" || len(text)+strings.Count(text, old)*len(with) > mostText:
		return unread
	}
	return strings.Replace(text, old, with, n)
}

// split takes nil for an empty text.
func split(_ *options, args []value) value {
	text, ok := textOf(args[0])
	separator, is := textOf(args[1])
	n, all := counted(args, 2)
	if !ok || !is || !all || separator == "" {
		return unread
	}
	parts := []value{}
	for _, part := range strings.SplitN(text, separator, n) {
		parts = append(parts, part)
	}
	return parts
}

func integer(_ *options, args []value) value {
	if text, ok := args[0].(string); args[0] == nil || ok && blank(text) {
		return nil
	}
	n, ok := number(args[0])
	if !ok {
		return unread
	}
	return int(n)
}

func text(_ *options, args []value) value {
	switch v := args[0].(type) {
	case nil:
		return nil
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	if s, ok := textOf(args[0]); ok {
		return s
	}
	return unread
}

// join puts together the texts that are not blank, the elements of lists among
// them.
func join(_ *options, args []value) value {
	separator, ok := textOf(args[0])
	if !ok {
		return unread
	}
	var all, texts []string
	for _, a := range args[1:] {
		items, is := a.([]any)
		if !is {
			items = []any{a}
		}
		for _, item := range items {
			text, ok := textOf(item)
			if !ok {
				return unread
			}
			if item != nil {
				all = append(all, text)
			}
			if !blank(text) {
				texts = append(texts, text)
			}
		}
	}
	switch {
	case len(texts) > 0:
		return strings.Join(texts, separator)
	case len(all) > 0:
		return ""
	}
	return nil
}

// first gives the first value that can be read and is not blank. If there is
// none, the last that could not be read stands before what is merely empty.
func first(_ *options, args []value) value {
	var last value
	for _, a := range args {
		text, ok := textOf(a)
		switch {
		case a == unread:
			last = unread
		case !ok || !blank(text):
			return a
		case a != nil && last != unread:
			last = ""
		}
	}
	return last
}

// regional reads a telephone number of the region that is named or configured.
func regional(o *options, args []value, format func(string, string) value) value {
	region := o.region
	if len(args) > 1 {
		region, _ = textOf(args[1])
	}
	text, ok := textOf(args[0])
	switch {
	case args[0] == nil:
		return nil
	case !ok:
		return unread
	case blank(text):
		return ""
	}
	return format(text, strings.ToUpper(region))
}

func e164(o *options, args []value) value { return regional(o, args, internationalNumber) }

func domestic(o *options, args []value) value { return regional(o, args, nationalNumber) }

func date(o *options, args []value) value {
	zone, err := o.zone, error(nil)
	if len(args) > 1 {
		zone, err = zoneOf(args[1])
	}
	text, ok := textOf(args[0])
	switch {
	case args[0] == nil:
		return nil
	case !ok || err != nil:
		return unread
	case blank(text):
		return ""
	}
	return localTime(text, zone)
}

func zoneOf(v value) (*time.Location, error) {
	name, ok := textOf(v)
	if !ok || blank(name) || name == "Local" {
		name = "none" // an empty name would be UTC
	}
	return time.LoadLocation(name)
}

// wrongArgument says what is wrong with a zone or region that a call names by
// itself, or for want of it the options do; "" if nothing is, or if only a user
// can tell.
func (o *options) wrongArgument(name string, args []ast.Node) string {
	literal := func(i int) (string, bool) {
		if len(args) <= i {
			return "", false
		}
		n, ok := args[i].(*ast.StringNode)
		if !ok {
			return "", false
		}
		return n.Value, true
	}
	given, there := literal(1)
	switch name {
	case "e164", "domestic":
		if len(args) == 1 && o.region == "" {
			return "the region is not known: write " + name + "(..., \"JP\"), or 'region: JP' below options"
		}
		if there && !isRegion(given) {
			return "region " + given + " is not two letters such as JP, TW or HK"
		}
	case "date":
		if _, err := zoneOf(given); there && err != nil {
			return "zone " + given + " is not an IANA time zone such as Asia/Tokyo"
		}
	case "split", "replace", "find":
		if there && given == "" {
			return name + " looks for a text that is empty: characters are cut with " + instead
		}
	}
	return ""
}

func isRegion(name string) bool {
	return phonenumbers.GetSupportedRegions()[strings.ToUpper(name)]
}
