package mapping

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// A dialed number is what a person wrote before anything that is no part of it.
type dialed struct {
	plus   bool
	groups []string // of digits
	dash   bool     // one stands before the last group
}

// extensionMark opens what is dialed once the number has answered.
var extensionMark = regexp.MustCompile(`(?i)#|\*|[内內][線线]|分[機机]|[轉转]|ext`)

var (
	tailMarks    = "~,;/#:()[]{}<>、。，：「」『』【】〈〉《》+\n"
	extensionTag = regexp.MustCompile(`(?i)^e?xt?(ension)?[. :]*[0-9]`)
	hiddenDigits = regexp.MustCompile(`(?i)^([a-z]|x+)([^a-z]|$)`)
	hiddenBefore = regexp.MustCompile(`(?i)(^|[^a-z])([a-z]|x+)$|[?_=%&@$!^|○●◯□■×✕〇零一二三四五六七八九十]$`)
)

// opensTail reports whether what stands after a number is no part of it. A sign
// or letter in a digit's place is: 02-300-000* and 02-300-00XX have more digits
// than are shown.
func opensTail(before, tail []rune) bool {
	r := tail[0]
	if r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
		text := string(tail)
		apart := len(before) > 0 && before[len(before)-1] == ' '
		return extensionTag.MatchString(text) || apart && !hiddenDigits.MatchString(text)
	}
	return unicode.IsLetter(r) || strings.ContainsRune(tailMarks, r)
}

// dial reads the number at the beginning of a text, after a label such as
// "Tel:". It ends where anything stands that separates no groups of digits: the
// rest is an extension, a floor, a note or a second number. So is a number in
// brackets that ends the text. False if it cannot be said what is dialed.
func dial(text string) (d dialed, ok bool) {
	runes := []rune(strings.Map(visible, fold(text)))
	start := 0
	for start < len(runes) && runes[start] != '+' && !digit(runes[start]) {
		start++
	}
	if label := string(runes[:start]); extensionMark.MatchString(label) || hiddenBefore.MatchString(label) {
		return d, false
	}
	runes = runes[start:]
	var group []rune
	dash, closing := false, false
	end := func() {
		if len(group) > 0 {
			d.groups, d.dash = append(d.groups, string(group)), dash
			group, dash = nil, false
		}
	}
	for i, r := range runes {
		switch {
		case digit(r):
			group = append(group, r)
			continue
		case r == '+' && len(group) == 0 && len(d.groups) == 0:
			d.plus = true
			continue
		case r == ')' && closing:
			closing = false
		case r == '(' && inBrackets(runes[i:]) || r == ')' && len(d.groups) == 0:
			closing = r == '('
		case !separates(r):
			end()
			return d, opensTail(runes[:i], runes[i:])
		}
		end()
		dash = dash && r == ' ' || r == '-'
	}
	end()
	return d, true
}

func digit(r rune) bool { return r >= '0' && r <= '9' }

// inBrackets reports whether a bracket holds digits alone, and more follow it.
func inBrackets(text []rune) bool {
	inside, rest, closed := strings.Cut(string(text[1:]), ")")
	rest = strings.TrimLeft(rest, " -.")
	return closed && inside != "" && strings.Trim(inside, "0123456789 -") == "" && rest != "" && digit(rune(rest[0]))
}

// visible makes every dash one dash and every blank one blank, and removes what
// is not seen. A new line stays: it separates no digits.
func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\r':
		return '\n'
	case unicode.IsSpace(r):
		return ' '
	case nothing(r):
		return -1
	case unicode.Is(unicode.Pd, r) || strings.ContainsRune("−ー─━", r):
		if r == '〜' || r == '〰' {
			return '~' // from one to another
		}
		return '-'
	}
	return r
}

func separates(r rune) bool { return strings.ContainsRune(" -.・·", r) }

// number is the number in E.164 as the library judges it, if it is valid. An
// extension may stand after a last dash, as in 010-60000001-8: the last group
// is one if the rest is a number and the whole is none, but not where a plus seems
// to be forgotten. If both are numbers, and the group is too short to tell, it is
// neither.
func (d dialed) number(region string) (*phonenumbers.PhoneNumber, bool) {
	groups := d.groups
	if d.plus && len(groups) > 2 && groups[1] == "0" {
		groups = append([]string{groups[0]}, groups[2:]...) // +44 (0)20 ...
	}
	whole, ok := valid(d.plus, groups, region)
	if len(groups) < 2 {
		return whole, ok
	}
	last := len(groups) - 1
	rest, cut := valid(d.plus, groups[:last], region)
	switch n := len(groups[last]); {
	case ok && cut && n <= 2:
		return nil, false
	case !ok && cut && n <= 5 && d.dash && (d.plus || !strings.HasPrefix(groups[0], strconv.Itoa(phonenumbers.GetCountryCodeForRegion(region)))):
		return rest, true
	}
	return whole, ok
}

func valid(plus bool, groups []string, region string) (*phonenumbers.PhoneNumber, bool) {
	text := strings.Join(groups, "")
	if plus {
		text = "+" + text
	}
	if !isRegion(region) {
		region = "ZZ" // of an international number it is not asked
	}
	n, err := phonenumbers.Parse(text, region)
	return n, err == nil && phonenumbers.IsValidNumber(n)
}

// dialedIn is the number that a text says, dialed in a region.
func dialedIn(text, region string) (*phonenumbers.PhoneNumber, bool) {
	d, ok := dial(text)
	if !ok {
		return nil, false
	}
	return d.number(region)
}

// internationalNumber is E.164, or unreadable.
func internationalNumber(text, region string) value {
	n, ok := dialedIn(text, region)
	if !ok {
		return unread
	}
	return phonenumbers.Format(n, phonenumbers.E164)
}

// nationalNumber has the digits that are dialed within the region. A number of
// another country stays in E.164.
func nationalNumber(text, region string) value {
	n, ok := dialedIn(text, region)
	switch {
	case !ok:
		return unread
	case int(n.GetCountryCode()) != phonenumbers.GetCountryCodeForRegion(region):
		return phonenumbers.Format(n, phonenumbers.E164)
	}
	return phonenumbers.NormalizeDigitsOnly(phonenumbers.Format(n, phonenumbers.NATIONAL))
}
