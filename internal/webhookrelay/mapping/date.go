package mapping

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The years that are read. No shop has an older customer: what looks like one
// is written in another way.
const firstYear, lastYear = 1868, 9999

// An era counts years of its own. first and last are its days; that on which one
// emperor followed another is of both.
type era struct {
	names       []string
	before      int // the year before its first
	first, last string
}

// Before 明治6年 Japan counted months by the moon: those days are unreadable.
var eras = []era{
	{[]string{"明治", "明", "M"}, 1867, "1873-01-01", "1912-07-30"},
	{[]string{"大正", "大", "T"}, 1911, "1912-07-30", "1926-12-25"},
	{[]string{"昭和", "昭", "S"}, 1925, "1926-12-25", "1989-01-07"},
	{[]string{"平成", "平", "H"}, 1988, "1989-01-08", "2019-04-30"},
	{[]string{"令和", "令", "R"}, 2018, "2019-05-01", "9999-12-31"},
	{[]string{"中華民國", "中華民国", "中华民国", "民國", "民国"}, 1911, "1912-01-01", "9999-12-31"},
}

var (
	monthNames   = strings.Fields("January February March April May June July August September October November December")
	weekdayNames = strings.Fields("Sunday Monday Tuesday Wednesday Thursday Friday Saturday")
)

// A dateReader reads a text from its beginning. Each method takes what it
// reads away, or nothing.
type dateReader struct{ rest string }

// localTime is the local time of what a text says, or unreadable: whatever could
// mean two days is. A time without an offset is UTC, as in the API. A day without
// a time is no instant, and stays that day.
func localTime(text string, zone *time.Location) value {
	r := dateReader{strings.TrimSpace(strings.Map(plainSign, norm.NFKC.String(text)))}
	day, ok := r.day()
	if !ok || !r.weekday(day) {
		return unread
	}
	if r.rest == "" {
		return day.Format(time.DateTime)
	}
	clock, ok := r.clock()
	if !ok {
		return unread
	}
	offset, ok := r.offset()
	if !ok || r.rest != "" {
		return unread
	}
	return day.Add(clock - offset).In(zone).Format(time.DateTime)
}

// plainSign makes every blank one blank, and every dash one dash.
func plainSign(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case nothing(r):
		return -1
	case r == '−' || r == '‐' || r == '–':
		return '-'
	}
	return r
}

// take reads one of some texts, in either case.
func (r *dateReader) take(texts ...string) (string, bool) {
	for _, t := range texts {
		if len(r.rest) >= len(t) && strings.EqualFold(r.rest[:len(t)], t) {
			r.rest = r.rest[len(t):]
			return t, true
		}
	}
	return "", false
}

func (r *dateReader) is(text string) bool {
	_, ok := r.take(text)
	return ok
}

func (r *dateReader) space() { r.rest = strings.TrimLeft(r.rest, " ") }

// word reads one of some English words, or its first three letters.
func (r *dateReader) word(words []string) (int, bool) {
	letters := strings.IndexFunc(r.rest+" ", func(c rune) bool { return !unicode.IsLetter(c) })
	for i, w := range words {
		if written := r.rest[:letters]; letters >= 3 && letters <= len(w) && strings.EqualFold(written, w[:letters]) {
			if letters > 3 && letters < len(w) && !strings.EqualFold(written, "Sept") {
				continue
			}
			r.rest = r.rest[letters:]
			r.is(".")
			return i, true
		}
	}
	return 0, false
}

// number reads a number in digits or in kanji, and says how many digits it has.
func (r *dateReader) number() (n, digits int) {
	for digits < len(r.rest) && digit(rune(r.rest[digits])) {
		digits++
	}
	if digits > 0 {
		n, _ = strconv.Atoi(r.rest[:digits]) // of 20 digits no part is a date
		r.rest = r.rest[digits:]
		return n, digits
	}
	end := strings.IndexFunc(r.rest+" ", func(c rune) bool { return !strings.ContainsRune(kanjiDigits+"零十百千廿卅", c) })
	n, digits = kanjiNumber(r.rest[:end])
	r.rest = r.rest[end:]
	return n, digits
}

const kanjiDigits = "〇一二三四五六七八九"

// kanjiNumber reads 二〇一八 as well as 二十七 and 廿七, which has as many digits
// as 27.
func kanjiNumber(written string) (n, digits int) {
	units := strings.ContainsAny(written, "十百千廿卅")
	figure := 0
	for _, c := range strings.ReplaceAll(written, "零", "〇") {
		unit := map[rune]int{'十': 10, '百': 100, '千': 1000, '廿': 20, '卅': 30}[c]
		switch at := strings.IndexRune(kanjiDigits, c) / len("〇"); {
		case !units:
			n, digits = 10*n+at, digits+1
		case unit == 0 && figure > 0:
			return 0, 0
		case unit == 0:
			figure = at
		case unit == 20 || unit == 30:
			n += unit
		default:
			n, figure = n+unit*max(figure, 1), 0
		}
	}
	if units {
		n += figure
		digits = len(strconv.Itoa(n))
	}
	return n, digits
}
