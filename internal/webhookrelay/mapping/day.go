package mapping

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// day reads a date, with the day of the week that the English write before it.
func (r *dateReader) day() (time.Time, bool) {
	if at, ok := r.word(weekdayNames); ok {
		r.is(",")
		r.space()
		day, ok := r.englishDay()
		return day, ok && int(day.Weekday()) == at
	}
	before := r.rest
	if day, ok := r.englishDay(); ok {
		return day, true
	}
	r.rest = before
	year, digits, ok := r.year()
	switch {
	case !ok:
		return time.Time{}, false
	case digits == 8:
		return realDay(year/10000, year/100%100, year%100)
	case digits == 14:
		r.rest = fmt.Sprintf("T%06d", year%1e6) + r.rest
		return realDay(year/1e10, year/1e8%100, year/1e6%100)
	}
	return r.monthAndDay(year, digits)
}

// year reads the year of an era, or one of four digits, or more digits at once.
// It says which era's it is, or how many digits it has.
func (r *dateReader) year() (year, digits int, ok bool) {
	for i, e := range eras {
		name, is := r.take(e.names...)
		if !is {
			continue
		}
		if len(name) > 1 {
			r.space()
		}
		year, digits = 1, 1
		if !r.is("元") {
			year, digits = r.number()
		}
		return e.before + year, -1 - i, year > 0 && (digits == 1 || digits == 2 || digits == 3)
	}
	r.take("西暦", "西曆", "西历", "西元", "公元")
	r.space()
	year, digits = r.number()
	return year, digits, digits == 4 || digits == 8 || digits == 14
}

// monthAndDay reads what follows a year: with 年月日, or with one sign twice. The
// year may stand a second time, in brackets, in the other way of counting.
func (r *dateReader) monthAndDay(year, of int) (time.Time, bool) {
	r.space()
	sign, ok := r.take("年", "/", "-", ".")
	if sign == "年" && r.is("(") {
		again, as, is := r.year()
		r.is("年")
		ok = is && again == year && (as < 0 || as == 4) && r.is(")")
		of = min(of, as)
	}
	month := r.one()
	if sign == "年" {
		ok = ok && r.is("月")
	} else {
		ok = ok && r.is(sign)
	}
	day := r.one()
	if sign == "年" {
		_, is := r.take("日", "號", "号")
		ok = ok && is
	}
	t, real := realDay(year, month, day)
	if of < 0 {
		written, e := t.Format(time.DateOnly), eras[-1-of]
		ok = ok && written >= e.first && written <= e.last
	}
	return t, ok && real
}

// one reads a month or a day between blanks; 0 if there is none.
func (r *dateReader) one() int {
	r.space()
	n, digits := r.number()
	r.space()
	if digits > 2 {
		return 0
	}
	return n
}

// realDay refuses days that no calendar has, which time.Date would move.
func realDay(year, month, day int) (time.Time, bool) {
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t, year >= firstYear && year <= lastYear && int(t.Month()) == month && t.Day() == day
}

// englishDay reads 14 March 2026 and March 14, 2026, which say what is the month.
func (r *dateReader) englishDay() (time.Time, bool) {
	month, named := r.word(monthNames)
	r.between()
	day, digits := r.number()
	r.take("st", "nd", "rd", "th")
	r.between()
	if !named {
		month, named = r.word(monthNames)
		r.between()
	}
	year, four := r.number()
	t, real := realDay(year, month+1, day)
	return t, named && real && four == 4 && (digits == 1 || digits == 2)
}

func (r *dateReader) between() { r.rest = strings.TrimLeft(r.rest, " ,-") }

// weekday reads the day of the week that may stand after a date, and reports
// whether it is that day's: a date that contradicts itself could mean two days.
func (r *dateReader) weekday(of time.Time) bool {
	before := r.rest
	r.rest = strings.TrimLeft(r.rest, " ,")
	opened, bracket := r.take("(", "[")
	at, ok := r.weekdayName(bracket)
	if !ok {
		r.rest = before
		return true
	}
	if bracket && !r.is(map[string]string{"(": ")", "[": "]"}[opened]) {
		return false
	}
	return int(of.Weekday()) == at
}

// weekdayName reads (日) and 日曜日, 週三 and (三), Sun and Sunday.
func (r *dateReader) weekdayName(bracket bool) (int, bool) {
	if at, ok := r.word(weekdayNames); ok {
		return at, true
	}
	_, chinese := r.take("星期", "禮拜", "礼拜", "週", "周")
	c, size := utf8.DecodeRuneInString(r.rest)
	at := strings.IndexRune("日月火水木金土", c)
	if chinese || bracket && at < 0 {
		at = strings.IndexRune("日一二三四五六", c)
	}
	if chinese && c == '天' {
		at = 0
	}
	if at < 0 || size == 0 {
		return 0, false
	}
	r.rest = r.rest[size:]
	_, named := r.take("曜日", "曜")
	return at / len("日"), chinese || named || bracket
}

// clock reads the time of a day: after T or a blank, in the form of 09:00:01.5,
// 9時5分, 午後3時半 or 3:05 PM.
func (r *dateReader) clock() (time.Duration, bool) {
	r.space()
	exact := r.is("T")
	r.space()
	half, _ := r.take("午前", "午後", "上午", "下午", "AM", "PM")
	r.space()
	hour, digits := r.number()
	minute, second, ok := 0, 0, digits == 1 || digits == 2
	switch sign, _ := r.take(":", "時", "时", "點", "点"); {
	case exact && sign == "" && digits == 4:
		hour, minute, ok = hour/100, hour%100, true
	case exact && sign == "" && digits == 6:
		hour, minute, second, ok = hour/10000, hour/100%100, hour%100, true
	case sign == ":":
		minute, digits = r.number()
		ok = ok && digits == 2
		if r.is(":") {
			second, digits = r.number()
			ok = ok && digits == 2 && r.fraction()
		}
	case sign == "":
		ok = false
	case r.is("半"):
		minute = 30
	default:
		var minutes, seconds bool
		minute, minutes = r.counted("分")
		second, seconds = r.counted("秒")
		ok = ok && minutes && seconds
	}
	if half == "" {
		before := r.rest
		r.space()
		if half, _ = r.take("AM", "PM"); half == "" {
			r.rest = before
		}
	}
	hour, known := hourOf(half, hour)
	ok = ok && known && hour < 24 && minute < 60 && second < 60
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second, ok
}

// fraction takes away the part of a second that is not sent.
func (r *dateReader) fraction() bool {
	if _, ok := r.take(".", ","); !ok {
		return true
	}
	_, digits := r.number()
	return digits > 0 && digits < 10
}

// counted reads a number with its unit, such as 5分, if there is one.
func (r *dateReader) counted(unit string) (n int, ok bool) {
	r.space()
	n, digits := r.number()
	return n, digits == 0 || digits <= 2 && r.is(unit)
}

// hourOf is an hour of the day. Noon and midnight are 午後0時 and 午前0時, 12 PM and
// 12 AM; 午前12時 is either.
func hourOf(half string, hour int) (int, bool) {
	english := half == "AM" || half == "PM"
	switch {
	case half == "":
		return hour, true
	case hour > 12 || hour == 12 && !english || hour == 0 && english:
		return 0, false
	case half == "午後" || half == "下午" || half == "PM":
		return hour%12 + 12, true
	}
	return hour % 12, true
}

// zoneHours are those abbreviations that mean one offset. CST and IST do not.
var zoneHours = map[string]int{"Z": 0, "UTC": 0, "GMT": 0, "JST": 9, "KST": 9, "HKT": 8, "SGT": 8}

// offset reads Z, JST, +0900, +09:00, UTC+9 and the like; nothing is UTC. Behind
// it the zone's name may stand in brackets.
func (r *dateReader) offset() (time.Duration, bool) {
	r.space()
	if r.rest == "" {
		return 0, true
	}
	name, _ := r.take("Z", "UTC", "GMT", "JST", "KST", "HKT", "SGT")
	offset := time.Duration(zoneHours[name]) * time.Hour
	ok := name != ""
	if !ok || name == "UTC" || name == "GMT" {
		if sign, is := r.take("+", "-"); is {
			offset, ok = r.hours()
			if sign == "-" {
				offset = -offset
			}
		}
	}
	r.space()
	if r.is("(") {
		comment, _, closed := strings.Cut(r.rest, ")")
		hours, known := zoneHours[comment]
		ok = ok && closed && (!known || offset == time.Duration(hours)*time.Hour) && strings.Trim(strings.ToLower(comment), "abcdefghijklmnopqrstuvwxyz ") == ""
		r.rest = strings.TrimPrefix(r.rest, comment+")")
	}
	return offset, ok
}

// hours reads 9, 09, 0900 and 09:00.
func (r *dateReader) hours() (time.Duration, bool) {
	n, digits := r.number()
	minute := 0
	switch {
	case digits == 4:
		n, minute = n/100, n%100
	case digits != 1 && digits != 2:
		return 0, false
	case r.is(":"):
		if minute, digits = r.number(); digits != 2 {
			return 0, false
		}
	}
	return time.Duration(n)*time.Hour + time.Duration(minute)*time.Minute, n <= 14 && minute < 60
}
