package mapping

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a function's image may hold no zones

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/types"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// languageFunctions are those of the expression language that mappings may use,
// with types that allow a nil. Others are off: now() would make every comparison
// differ, and none of the rest is about one person's texts.
var languageFunctions = map[string][]any{
	"split":   {new(func(any, string) []string), new(func(any, string, int) []string)},
	"replace": {new(func(any, string, string) any), new(func(any, string, string, int) any)},
	"int":     {new(func(any) any)}, "string": {new(func(any) any)}, "len": {new(func(any) int)},
	"hasPrefix": {new(func(any, string) bool)}, "hasSuffix": {new(func(any, string) bool)}, "indexOf": {new(func(any, string) int)},
}

// Functions lists what expressions may call, sorted. Beside the language's own,
// which are split, replace, hasPrefix, hasSuffix, indexOf, len, int and string:
//
//	fold(s)                 full-width ASCII and half-width kana to the usual widths
//	katakana(s), hiragana(s) fold, then one kana for the other
//	trim(s), upper(s), lower(s)
//	e164(s [, region])      +819000000000
//	domestic(s [, region])  09000000000; a foreign number stays in E.164
//	date(s [, zone])        2006-01-02 15:04:05 in the zone
//	join(separator, s...)   those that are not empty; nil if all are nil
//	default(s...)           the first that is not empty, or else the last that is not nil
//
// A nil (null, or a field the user does not have) gives nil, but split,
// hasPrefix, hasSuffix, indexOf and len take it for "". Operators fail with a
// nil, and so do texts to search for: write default(mobile, "") there. A phone
// number or date that cannot be read gives "", and so does a region or zone that
// a user's own field names and that does not exist, the region unless the number
// is international; one that the mapping itself names is refused when it is read.
func Functions() []string {
	names := slices.AppendSeq([]string{"e164", "domestic", "date", "join", "default"}, maps.Keys(languageFunctions))
	names = slices.AppendSeq(names, maps.Keys(textFunctions))
	slices.Sort(names)
	return names
}

var textFunctions = map[string]func(string) string{
	"fold": fold, "katakana": katakana, "hiragana": hiragana,
	"trim": strings.TrimSpace, "upper": strings.ToUpper, "lower": strings.ToLower,
}

// functions returns the compiler's options: the known fields, and nothing but
// the functions above.
func (o mappingOptions) functions() []expr.Option {
	env := types.Map{}
	for _, f := range SourceFields() {
		env[f] = types.Any
	}
	options := []expr.Option{expr.Env(env), expr.DisableAllBuiltins()}
	for name, signatures := range languageFunctions {
		options = append(options, expr.Function(name, ofNil(name), signatures...))
	}
	for name, f := range textFunctions {
		options = append(options, expr.Function(name, func(args ...any) (any, error) {
			return onText(args[0], f)
		}, new(func(any) any)))
	}
	phone := func(format func(string, region) string) func(...any) (any, error) {
		return func(args ...any) (any, error) {
			r := regions[strings.ToUpper(option(args, o.Region))]
			return onText(args[0], func(s string) string { return format(s, r) })
		}
	}
	date := func(args ...any) (any, error) {
		zone, err := o.zone, error(nil)
		if len(args) > 1 {
			zone, err = time.LoadLocation(cmp.Or(option(args, ""), "none")) // an empty name would be UTC
		}
		return onText(args[0], func(s string) string {
			if err != nil {
				return ""
			}
			return localTime(s, zone)
		})
	}
	one, two, many := new(func(any) any), new(func(any, string) any), new(func(...any) any)
	return append(options,
		expr.Function("e164", phone(e164), one, two), expr.Function("domestic", phone(domestic), one, two),
		expr.Function("date", date, one, two),
		expr.Function("join", joinTexts, new(func(string, ...any) any)), expr.Function("default", firstText, many))
}

// wrongArgument says what is wrong with a zone or region that a call names by
// itself, or for want of it the options do; "" if nothing is, or if only a user
// can tell.
func (o mappingOptions) wrongArgument(call *ast.CallNode) string {
	given := o.Region
	if len(call.Arguments) > 1 {
		literal, ok := call.Arguments[1].(*ast.StringNode)
		if !ok {
			return ""
		}
		given = literal.Value
	}
	switch call.Callee.String() {
	case "e164", "domestic":
		if _, ok := regions[strings.ToUpper(given)]; !ok {
			return "wrong argument: the region is not one of " + regionNames()
		}
	case "date":
		if _, err := time.LoadLocation(given); err != nil && len(call.Arguments) > 1 {
			return "wrong argument: the zone is not an IANA time zone such as Asia/Tokyo"
		}
	}
	return ""
}

// option returns the second argument, or the configured value.
func option(args []any, configured string) string {
	if len(args) > 1 {
		return fmt.Sprint(args[1])
	}
	return configured
}

// onText applies f to a text or number; nil passes.
func onText(v any, f func(string) string) (any, error) {
	if v == nil {
		return nil, nil
	}
	value, err := ValueOf(v)
	if err != nil {
		return nil, err
	}
	return f(value.Text), nil
}

// ofNil is the language's own function, which would fail for users without a text.
func ofNil(name string) func(...any) (any, error) {
	f := builtin.Builtins[builtin.Index[name]]
	return func(args ...any) (any, error) {
		if args[0] == nil {
			if name == "replace" || name == "int" || name == "string" {
				return nil, nil
			}
			args = append([]any{""}, args[1:]...)
		}
		if f.Fast != nil {
			return f.Fast(args[0]), nil
		}
		return f.Func(args...)
	}
}

func joinTexts(args ...any) (any, error) {
	var texts []string
	for _, a := range args[1:] {
		value, err := ValueOf(a)
		if err != nil {
			return nil, err
		}
		if value.Text != "" {
			texts = append(texts, value.Text)
		}
	}
	if len(texts) == 0 {
		return firstText(args[1:]...)
	}
	return strings.Join(texts, fmt.Sprint(args[0])), nil
}

func firstText(args ...any) (any, error) {
	var last any
	for _, a := range args {
		if value, err := ValueOf(a); err != nil || value.Text != "" {
			return a, err
		}
		last = cmp.Or(a, last)
	}
	return last, nil
}

var voiced = regexp.MustCompile(`[ぁ-ヿ][\x{3099}\x{309A}]`)

// fold also composes: a half-width kana carries its voicing mark apart. Nothing
// else is, as NFC would write some people's names with another ideograph.
func fold(s string) string { return voiced.ReplaceAllStringFunc(width.Fold.String(s), norm.NFC.String) }

const kanaDistance = 'ァ' - 'ぁ'

func katakana(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'ぁ' && r <= 'ゖ' {
			return r + kanaDistance
		}
		return r
	}, fold(s))
}

func hiragana(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'ァ' && r <= 'ヶ' {
			return r - kanaDistance
		}
		return r
	}, fold(s))
}

// A region is a country's way to write telephone numbers.
type region struct {
	code     string // after the plus
	trunk    string // before a national number; empty: none
	min, max int    // digits of a national number, without the trunk
}

var regions = map[string]region{
	"JP": {"81", "0", 9, 10}, "TW": {"886", "0", 8, 9}, "KR": {"82", "0", 8, 10}, "CN": {"86", "0", 10, 11},
	"TH": {"66", "0", 8, 9}, "VN": {"84", "0", 9, 10}, "MY": {"60", "0", 8, 10},
	"HK": {"852", "", 8, 8}, "MO": {"853", "", 8, 8}, "SG": {"65", "", 8, 8}, "US": {"1", "", 10, 10},
}

func regionNames() string { return strings.Join(slices.Sorted(maps.Keys(regions)), ", ") }

// prefix is what a national number has before it: the trunk, but for China's
// mobile numbers, the only ones there of 11 digits that begin with 1.
func (r region) prefix(national string) string {
	if r.code == "86" && len(national) == 11 && national[0] == '1' {
		return ""
	}
	return r.trunk
}

// number is in E.164, "" if the plan has no such number. Many write the trunk
// after the code, too. No plan has numbers that begin with 0.
func (r region) number(national string) string {
	national = strings.TrimPrefix(national, r.trunk)
	if national == "" || national[0] == '0' || len(national) < r.min || len(national) > r.max {
		return ""
	}
	return "+" + r.code + national
}

// extension finds the marks of one; that with x, as in ext, only after a digit.
var extension = regexp.MustCompile(`(?i)#|[内內][線线]|分[機机]|[轉转]|(\d\D*)x`)

var undialed = regexp.MustCompile(`[^+0-9]+`)

// dialed returns the digits and pluses of a number without its extension.
func dialed(s string) string {
	s = fold(s)
	if at := extension.FindStringSubmatchIndex(s); at != nil {
		s = s[:max(at[0], at[3])]
	}
	if strings.Contains(s, "+") {
		s = strings.ReplaceAll(s, "(0)", "") // +44 (0)20 ...
	}
	return undialed.ReplaceAllString(s, "")
}

// e164 takes a number without a plus as national if it has the region's trunk
// and length, and else as one that lacks only the plus. Of the prefixes of
// international calls only 00 is read, and only before a code in regions: it may
// be a part of another, such as 002. The zero region has no national number.
func e164(s string, r region) string {
	digits, plus := strings.CutPrefix(dialed(s), "+")
	digits = strings.ReplaceAll(digits, "+", "")
	number := ""
	switch {
	case plus:
		return abroad(digits, region{min: 8, max: 15})
	case strings.HasPrefix(digits, "00"):
		return abroad(digits[2:], region{})
	case strings.HasPrefix(digits, r.prefix(digits)):
		number = r.number(digits)
	}
	if strings.HasPrefix(digits, r.code) {
		number = cmp.Or(number, r.number(digits[len(r.code):]))
	}
	return number
}

// abroad reads a code and a national number; other is for codes not in regions.
func abroad(digits string, other region) string {
	for _, r := range regions {
		if strings.HasPrefix(digits, r.code) {
			other = r
		}
	}
	return other.number(digits[len(other.code):])
}

func domestic(s string, r region) string {
	number := e164(s, r)
	if national, ok := strings.CutPrefix(number, "+"+r.code); ok && r.code != "" {
		return r.prefix(national) + national
	}
	return number
}

// localTime reads the API's forms of time, and those that people write, UTC where
// they name no zone. A bare date is no instant and keeps its day.
func localTime(s string, zone *time.Location) string {
	s = strings.NewReplacer("/", "-", "T", " ").Replace(strings.TrimSpace(fold(s)))
	if t, err := time.Parse("2006-1-2", s); err == nil {
		return t.Format(time.DateTime)
	}
	for _, layout := range []string{"2006-1-2 15:04:05Z07:00", "2006-1-2 15:04Z07:00", "2006-1-2 15:04:05", "2006-1-2 15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.In(zone).Format(time.DateTime)
		}
	}
	return ""
}
