package mapping

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"hikyaku/internal/prove"
)

// A plan is a region's numbers as its regulator assigns them, # being any digit,
// and some that nobody can have. It is known apart from the library.
type plan struct {
	region, code, trunk string
	numbers, none       []string
}

var plans = []plan{
	{"JP", "81", "0", []string{"03-3###-####", "06-6###-####", "090-1###-####", "080-2###-####", "050-3###-####", "0120-1##-###"},
		[]string{"090-0###-####", "090-1###-###", "090-1###-#####", "03-3###-#####", "08-1000-00##", "0#-####"}},
	{"TW", "886", "0", []string{"02-2###-####", "04-2###-####", "07-3##-####", "0912-###-###"}, []string{"0912-###-####", "0912-###-##", "01-2###-####"}},
	{"HK", "852", "", []string{"210#-####", "312#-####", "512#-####", "610#-####", "912#-####"}, []string{"210#-###", "210#-#####", "15##-####", "0###-####"}},
	{"CN", "86", "0", []string{"010-6###-####", "021-5###-####", "=138-####-####"}, []string{"=138-####-###", "=138-####-#####", "=110-####-####"}},
	{"KR", "82", "0", []string{"02-3###-####", "02-3##-####", "031-2##-####", "010-3###-####"}, []string{"010-3###-#####", "00-3###-####"}},
	{"SG", "65", "", []string{"620#-####", "810#-####", "912#-####"}, []string{"62##-###", "62##-#####", "2###-####"}},
	{"MO", "853", "", []string{"288#-####", "662#-####"}, []string{"288#-###", "66##-#####", "1###-####"}},
	{"TH", "66", "0", []string{"02-2##-####", "081-2##-####"}, []string{"081-2##-#####", "081-2##-###"}},
	{"VN", "84", "0", []string{"090-2##-####", "024-3###-####"}, []string{"090-2##-#####", "090-2##-###"}},
	{"MY", "60", "0", []string{"03-20##-####", "012-2##-####"}, []string{"012-2##-#####", "03-2###-###"}},
	{"GB", "44", "0", []string{"020-7###-####", "07400-###-###"}, []string{"07400-###-####", "020-7###-#####"}},
	{"US", "1", "", []string{"415-23#-####", "212-34#-####"}, []string{"415-23#-###", "415-03#-####", "115-23#-####"}},
}

// dials fills in a number's digits, and gives its groups with the trunk, and
// without.
func dials(r *rand.Rand, p plan, form string) (national, bare []string) {
	form, without := strings.CutPrefix(form, "=") // no trunk before this one
	digits := strings.Map(func(c rune) rune {
		if c == '#' {
			return '0' + rune(r.IntN(10))
		}
		return c
	}, form)
	national = strings.Split(digits, "-")
	bare = append([]string{}, national...)
	if !without {
		bare[0] = strings.TrimPrefix(bare[0], p.trunk)
	}
	return national, bare
}

func wide(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= '!' && c <= '~' {
			return c - '!' + '！'
		}
		return c
	}, s)
}

// ways are how people write a number.
var ways = []func(p plan, national, bare []string) string{
	func(_ plan, n, _ []string) string { return strings.Join(n, "-") },
	func(_ plan, n, _ []string) string { return strings.Join(n, " ") },
	func(_ plan, n, _ []string) string { return strings.Join(n, "") },
	func(_ plan, n, _ []string) string { return strings.Join(n, ".") },
	func(_ plan, n, _ []string) string { return strings.Join(n, "・") },
	func(_ plan, n, _ []string) string { return strings.Join(n, " - ") },
	func(_ plan, n, _ []string) string { return strings.Join(n, "ー") },
	func(_ plan, n, _ []string) string { return strings.Join(n, "−") },
	func(_ plan, n, _ []string) string { return wide(strings.Join(n, "-")) },
	func(_ plan, n, _ []string) string { return "(" + n[0] + ")" + strings.Join(n[1:], "-") },
	func(_ plan, n, _ []string) string { return strings.Join(n[:len(n)-1], "(") + ")" + n[len(n)-1] },
	func(_ plan, n, _ []string) string { return "Tel: " + strings.Join(n, "-") },
	func(_ plan, n, _ []string) string { return "携帯　" + strings.Join(n, "-") + "　" },
	func(p plan, _, b []string) string { return "+" + p.code + "-" + strings.Join(b, "-") },
	func(p plan, _, b []string) string { return "+" + p.code + " " + strings.Join(b, " ") },
	func(p plan, _, b []string) string { return "+" + p.code + strings.Join(b, "") },
	func(p plan, _, b []string) string { return "tel:+" + p.code + "-" + strings.Join(b, "-") },
	func(p plan, n, b []string) string {
		if p.trunk == "" || n[0] == b[0] {
			return "(+" + p.code + ")" + strings.Join(b, " ")
		}
		return "+" + p.code + " (0)" + strings.Join(b, " ")
	},
	func(p plan, _, b []string) string { return "\u202a+" + p.code + " " + strings.Join(b, "-") + "\u202c" },
	func(p plan, _, b []string) string { return p.code + " " + strings.Join(b, "-") },
}

// tails are no part of the number; after the doubtful ones it may be unreadable,
// but never another.
var (
	tails = []string{
		"", "~3", "〜3", "～12", ",5", "，5", ";12", "/2", " #12", "#123", " x12", " ext. 12", " 内線5", "内線123", "(内)5", "（内）5", "(2F)", "(母2)",
		" 分機12", "轉8", " (5)", " / 03-1000-0002", "\n03-1000-0002", "、2階", " 又は 03-1000-0002", "(03-1000-0002)", "<3>", "：3", " [2]", " home",
	}
	doubtful = []string{"-5", "-12", "-123", " 5", " 12", ".3", "*5", "_5", "*", "=12", "-0", "ー8", " 03-1000-0002", "・2", "'1"}
)

// A reader of numbers gives E.164, or "" for what it cannot read.
type reader func(text, region string) string

func theReader(text, region string) string {
	s, _ := internationalNumber(text, region).(string)
	return s
}

// wrongNumbers counts what a reader makes wrong of so many written numbers, and
// says of some what.
func wrongNumbers(read reader, count int, say func(format string, args ...any)) (wrong, unread, others, accepted int) {
	r := prove.Random(12)
	complain := func(format string, args ...any) {
		if wrong+unread+others+accepted < 20 {
			say(format, args...)
		}
	}
	for i := range count {
		p := plans[i%len(plans)]
		way := ways[i/len(plans)%len(ways)]
		national, bare := dials(r, p, p.numbers[r.IntN(len(p.numbers))])
		want, text := "+"+p.code+strings.Join(bare, ""), way(p, national, bare)
		tail := tails[r.IntN(len(tails))]
		if got := read(text+tail, p.region); got == "" {
			unread++
			complain("%s %q: unreadable, want %s", p.region, text+tail, want)
		} else if got != want {
			wrong++
		}
		if got := read(text+doubtful[r.IntN(len(doubtful))], p.region); got != "" && got != want {
			others++
		}
		for _, hidden := range []string{"*", "X", "○", "?", "XX", "_"} {
			if read(text[:len(text)-min(len(hidden), 2)]+hidden, p.region) != "" && text[len(text)-1] >= '0' && text[len(text)-1] <= '9' {
				others++
				complain("%s %q: read", p.region, text[:len(text)-min(len(hidden), 2)]+hidden)
			}
		}
		national, bare = dials(r, p, p.none[r.IntN(len(p.none))])
		if text := way(p, national, bare) + tail; read(text, p.region) != "" {
			accepted++
			complain("%s %q: %s, want it unreadable", p.region, text, read(text, p.region))
		}
	}
	return wrong, unread, others, accepted
}

func TestProveNumbers(t *testing.T) {
	t.Parallel()
	count := prove.Size(100_000, 2_400)
	wrong, unread, others, accepted := wrongNumbers(theReader, count, t.Logf)
	name := fmt.Sprintf("telephone numbers, %d regions, %d ways, %d tails", len(plans), len(ways), len(tails))
	prove.Figure(t, wrong+unread == 0, name, "0 wrong, 0 unreadable", "%d wrong, %d unreadable of %d", wrong, unread, count)
	prove.Figure(t, others == 0, fmt.Sprintf("the same with %d tails that may be a part of the number", len(doubtful)), "0 become another", "%d of %d", others, count)
	prove.Figure(t, accepted == 0, "numbers that nobody can have, written in the same ways", "0 read", "%d of %d", accepted, count)
}

// Without each of its guards the proof fails.
func TestProveNumbers_WithoutItsGuards(t *testing.T) {
	t.Parallel()
	format := func(n *phonenumbers.PhoneNumber, ok bool) string {
		if !ok {
			return ""
		}
		return phonenumbers.Format(n, phonenumbers.E164)
	}
	for name, without := range map[string]reader{
		"the rule of tails": func(text, region string) string {
			n, err := phonenumbers.Parse(text, region)
			return format(n, err == nil && phonenumbers.IsValidNumber(n))
		},
		"validity": func(text, region string) string {
			d, ok := dial(text)
			if !ok {
				return ""
			}
			digits := strings.Join(d.groups, "")
			if d.plus {
				digits = "+" + digits
			}
			n, err := phonenumbers.Parse(digits, region)
			return format(n, err == nil && phonenumbers.IsPossibleNumber(n))
		},
		"the question whether both are numbers": func(text, region string) string {
			d, ok := dial(text)
			if !ok {
				return ""
			}
			n, ok := valid(d.plus, d.groups, region)
			return format(n, ok)
		},
		"hidden digits": func(text, region string) string {
			d, _ := dial(text)
			return format(d.number(region))
		},
	} {
		wrong, _, others, accepted := wrongNumbers(without, prove.Size(100_000, 960), func(string, ...any) {})
		prove.Figure(t, wrong+others+accepted > 0, "numbers without "+name, "must fail", "%d wrong, %d another, %d that nobody has", wrong, others, accepted)
	}
}
