package mapping

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/prove"
)

// A reign is an era as the laws have it, known apart from the reader.
type reign struct {
	name, kanji, letter string
	first               time.Time
	zero                int // the year before its first
}

// reigns are the eras, the newest first. Of the days on which one emperor
// followed another either may be written.
var reigns = []reign{
	{"令和", "令", "R", ymd(2019, 5, 1), 2018}, {"平成", "平", "H", ymd(1989, 1, 8), 1988}, {"昭和", "昭", "S", ymd(1926, 12, 25), 1925},
	{"大正", "大", "T", ymd(1912, 7, 30), 1911}, {"明治", "明", "M", ymd(1873, 1, 1), 1867},
}

func ymd(year, month, day int) time.Time {
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
}

// A written day is what its ways of writing need.
type writtenDay struct {
	time.Time

	reign, kanji, letter, year string // of the era
	minguo                     int
}

func (w writtenDay) m() int { return int(w.Month()) }

var kanjiOf = strings.NewReplacer("0", "〇", "1", "一", "2", "二", "3", "三", "4", "四", "5", "五", "6", "六", "7", "七", "8", "八", "9", "九")

// inKanji writes up to 99 as people do.
func inKanji(n int) string {
	tens, ones := "", ""
	if n >= 20 {
		tens = kanjiOf.Replace(fmt.Sprint(n / 10))
	}
	if n >= 10 {
		tens += "十"
	}
	if n%10 > 0 {
		ones = kanjiOf.Replace(fmt.Sprint(n % 10))
	}
	return tens + ones
}

func (w writtenDay) weekday(names string) string { return string([]rune(names)[w.Weekday()]) }

// dayWays are how people write a day.
var dayWays = []func(w writtenDay) string{
	func(w writtenDay) string { return w.Format("2006-01-02") },
	func(w writtenDay) string { return w.Format("2006/1/2") },
	func(w writtenDay) string { return w.Format("2006.1.2") },
	func(w writtenDay) string { return w.Format("2006. 1. 2") },
	func(w writtenDay) string { return w.Format("20060102") },
	func(w writtenDay) string { return w.Format("2006年1月2日") },
	func(w writtenDay) string { return w.Format("2006年01月02日") },
	func(w writtenDay) string { return w.Format("2006年 1月 2日") },
	func(w writtenDay) string { return "　" + wide(w.Format("2006/01/02")) },
	func(w writtenDay) string {
		return wide(w.Format("2006")) + "年" + wide(w.Format("1")) + "月" + wide(w.Format("2")) + "日"
	},
	func(w writtenDay) string {
		return kanjiOf.Replace(w.Format("2006")) + "年" + inKanji(w.m()) + "月" + inKanji(w.Day()) + "日"
	},
	func(w writtenDay) string {
		return w.Format("2006/1/2") + "(" + w.weekday("日月火水木金土") + ")"
	},
	func(w writtenDay) string {
		return w.Format("2006年1月2日") + "（" + w.weekday("日月火水木金土") + "）"
	},
	func(w writtenDay) string {
		return w.Format("2006年1月2日 ") + w.weekday("日月火水木金土") + "曜日"
	},
	func(w writtenDay) string {
		return w.Format("2006年1月2日 星期") + w.weekday("日一二三四五六")
	},
	func(w writtenDay) string { return w.Format("2006/1/2 週") + w.weekday("日一二三四五六") },
	func(w writtenDay) string { return w.Format("2006-01-02 (Mon)") },
	func(w writtenDay) string { return w.Format("2006年1月2號") },
	func(w writtenDay) string { return w.Format("2 January 2006") },
	func(w writtenDay) string { return w.Format("Jan 2, 2006") },
	func(w writtenDay) string { return w.Format("Monday, 2 January 2006") },
	func(w writtenDay) string { return w.Format("02-Jan-2006") },
	func(w writtenDay) string { return w.reign + w.year + w.Format("年1月2日") },
	func(w writtenDay) string { return w.reign + " " + w.year + w.Format("年 1月 2日") },
	func(w writtenDay) string { return w.kanji + w.year + w.Format(".1.2") },
	func(w writtenDay) string { return w.letter + w.year + w.Format(".1.2") },
	func(w writtenDay) string { return wide(w.letter+w.year) + w.Format("/01/02") },
	func(w writtenDay) string {
		return w.reign + w.year + w.Format("年(2006年)1月2日(") + w.weekday("日月火水木金土") + ")"
	},
	func(w writtenDay) string { return fmt.Sprintf("民國%d年%d月%d日", w.minguo, w.m(), w.Day()) },
	func(w writtenDay) string { return fmt.Sprintf("中華民國 %d/%02d/%02d", w.minguo, w.m(), w.Day()) },
}

// written finds a day's era, or beyond that one that the day is not of.
func written(r *rand.Rand, day time.Time, beyond bool) writtenDay {
	w := writtenDay{Time: day, minguo: day.Year() - 1911}
	at := slices.IndexFunc(reigns, func(e reign) bool { return !day.Before(e.first) })
	shared := day.Equal(ymd(1926, 12, 25)) || day.Equal(ymd(1912, 7, 30))
	if shared && !beyond {
		at += r.IntN(2)
	}
	switch {
	case !beyond:
	case at > 0 && (shared || at+1 == len(reigns) || r.IntN(2) == 0):
		at--
	default:
		at++
	}
	e := reigns[at]
	w.reign, w.kanji, w.letter, w.year = e.name, e.kanji, e.letter, fmt.Sprint(day.Year()-e.zero)
	if w.year == "1" {
		w.year = "元"
	}
	return w
}

// aDay is any from 1873 to 2099, every other one within three days of a border
// of eras, months or years.
func aDay(r *rand.Rand) time.Time {
	switch r.IntN(4) {
	case 0:
		return later(reigns[r.IntN(len(reigns))].first.AddDate(0, 0, r.IntN(7)-3))
	case 1:
		return later(ymd(1873+r.IntN(227), 1+r.IntN(12), 1).AddDate(0, 0, r.IntN(7)-3))
	}
	return later(ymd(1873+r.IntN(227), 1, 1).AddDate(0, 0, r.IntN(365)))
}

func later(day time.Time) time.Time {
	if first := ymd(1873, 1, 1); day.Before(first) {
		return first
	}
	return day
}

// offsetWays write an instant after a day.
var offsetWays = []struct {
	layout string
	zone   *time.Location
}{
	{"T15:04:05Z07:00", time.FixedZone("", 9*3600)}, {"T15:04:05Z07:00", time.UTC}, {"T15:04:05-0700", time.FixedZone("", 8*3600)},
	{" 15:04:05 -0700", time.FixedZone("", -5*3600)}, {"T15:04:05.000-0700", time.UTC}, {" 15:04:05 UTC", time.UTC}, {" 15:04:05 GMT", time.UTC},
	{" 15:04:05 JST", time.FixedZone("", 9*3600)}, {" 15:04:05 HKT", time.FixedZone("", 8*3600)}, {" 15:04:05 UTC+8", time.FixedZone("", 8*3600)},
	{" 15:04:05 GMT-07:00", time.FixedZone("", -7*3600)}, {" 15:04:05", time.UTC}, {"T150405Z", time.UTC}, {" 3:04:05 PM -0700", time.FixedZone("", 9*3600)},
	{" 15時4分5秒 JST", time.FixedZone("", 9*3600)}, {" 15:04:05 -07:00", time.FixedZone("", 5*3600+45*60)},
}

var tokyo = time.FixedZone("", 9*3600)

// theDate is what a text says in Tokyo, "" if it is unreadable.
func theDate(text string) string { s, _ := localTime(text, tokyo).(string); return s }

// wrongDates counts what is read wrong of so many days, and says of some what.
func wrongDates(read func(string) string, count int, say func(format string, args ...any)) (wrong, instants, misread int) {
	r := prove.Random(13)
	complain := func(format string, args ...any) {
		if wrong+instants+misread < 20 {
			say(format, args...)
		}
	}
	for i := range count {
		day := aDay(r)
		w := written(r, day, false)
		way := i % len(dayWays)
		if way >= len(dayWays)-2 && w.minguo < 1 {
			way = 0
		}
		text, want := dayWays[way](w), day.Format(time.DateTime)
		if got := read(text); got != want {
			wrong++
			complain("%q: %q, want %s", text, got, want)
		}
		if way < 22 { // the English and the common years go with any clock
			at := day.Add(time.Duration(r.IntN(86400)) * time.Second)
			o := offsetWays[i/len(dayWays)%len(offsetWays)]
			text := dayWays[way](written(r, at.In(o.zone), false)) + at.In(o.zone).Format(o.layout)
			if got, want := read(text), at.In(tokyo).Format(time.DateTime); got != want {
				instants++
				complain("%q: %q, want %s", text, got, want)
			}
		}
		for _, text := range []string{
			day.Format("02/01/2006"), day.Format("06/01/02"), day.Format("1/2/2006"), fmt.Sprintf("%d/%d/%d", w.minguo, w.m(), w.Day()),
			day.Format("2006/1/2(") + writtenDay{Time: day.AddDate(0, 0, 1+r.IntN(6))}.weekday("日月火水木金土") + ")",
			fmt.Sprintf("%d-%02d-%02d", day.Year(), day.Month(), day.AddDate(0, 1, -day.Day()).Day()+1+r.IntN(5)),
			fmt.Sprintf("%d年%d月%d日", day.Year(), 13+r.IntN(80), day.Day()), day.Format("060102"), day.Format("2006-01-02 15:04 CST"),
			dayWays[22+r.IntN(5)](written(r, day, true)),
		} {
			if got := read(text); got != "" {
				misread++
				complain("%q: %s, want it unreadable", text, got)
			}
		}
	}
	return wrong, instants, misread
}

func TestProveDates(t *testing.T) { //nolint:paralleltest // the next one changes what this one reads
	count := prove.Size(100_000, 6_000)
	wrong, instants, misread := wrongDates(theDate, count, t.Logf)
	prove.Figure(t, wrong == 0, fmt.Sprintf("days, %d ways, half at borders", len(dayWays)), "0 wrong", "%d of %d", wrong, count)
	prove.Figure(t, instants == 0, fmt.Sprintf("instants, %d offsets behind 22 of the ways", len(offsetWays)), "0 wrong", "%d", instants)
	prove.Figure(t, misread == 0, "days of no calendar or another era, other weekdays, ambiguous, 10 for each day", "0 read", "%d of %d", misread, 10*count)
}

func silent(string, ...any) {}

// Without each of its other guards the proof fails.
func TestProveDates_WithoutItsGuards(t *testing.T) { //nolint:paralleltest // the next one changes what this one reads
	weekday := regexp.MustCompile(`\(.\)$`)
	for name, read := range map[string]func(string) string{
		"the day of the week": func(text string) string { return theDate(weekday.ReplaceAllString(text, "")) },
		"ambiguity": func(text string) string {
			for _, layout := range []string{"02/01/2006", "1/2/2006", "06/01/02"} {
				if day, err := time.Parse(layout, text); err == nil {
					return day.Format(time.DateTime)
				}
			}
			return theDate(text)
		},
		"the calendar": func(text string) string {
			if y, m, d := 0, 0, 0; strings.Count(text, "-") == 2 {
				if n, _ := fmt.Sscanf(text, "%d-%d-%d", &y, &m, &d); n == 3 && len(text) == len(time.DateOnly) {
					return ymd(y, m, d).Format(time.DateTime)
				}
			}
			return theDate(text)
		},
	} {
		_, _, misread := wrongDates(read, prove.Size(100_000, 1_500), silent)
		prove.Figure(t, misread > 0, "dates without "+name, "must fail", "%d misread", misread)
	}
}

// Without the borders of the eras the proof fails.
func TestProveDates_WithoutBorders(t *testing.T) { //nolint:paralleltest // it changes what others read
	kept := eras
	defer func() { eras = kept }()
	eras = slices.Clone(eras)
	for i := range eras {
		eras[i].first, eras[i].last = "0000-00-00", "9999-12-31"
	}
	_, _, misread := wrongDates(theDate, prove.Size(100_000, 1_500), silent)
	prove.Figure(t, misread > 0, "dates without the borders of eras", "must fail", "%d misread", misread)
}
