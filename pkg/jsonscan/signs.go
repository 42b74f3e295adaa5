package jsonscan

import (
	"slices"
	"strings"
	"unicode"
)

// What stands beside the list in an answer may say that the answer is an
// error. APIs do that in many ways, and few document theirs, so the words of a
// name and of a short text decide. A name that is about an error counts in
// itself, whatever its value says, unless that says "none". A name such as
// "status" counts if its value speaks of an error. And where there are no
// records, which is what an API answers that could not look, a message counts
// unless it says that all is well.

// aside is a member of an envelope that does not lead to the list.
type aside struct {
	name       string
	start, end int
}

// anySign reports whether a member says that the answer is an error.
func anySign(body []byte, members []aside, records bool) bool {
	return slices.ContainsFunc(members, func(a aside) bool {
		return sign(a.name, body[a.start:a.end], records, true, 0)
	})
}

// deepestSign bounds the look into objects that stand beside the list.
const deepestSign = 4

// sign judges one member. about says that its object is about the answer, and
// not about something that the answer happens to show beside the list.
func sign(name string, value []byte, records, about bool, depth int) bool {
	words := wordsOf(name)
	if len(words) == 0 {
		return false
	}
	last, joined := words[len(words)-1], strings.Join(words, "")
	switch {
	case slices.ContainsFunc(words, isErrorWord) || hasAny(name, "エラー", "错误", "錯誤", "异常", "例外", "失敗", "失败"):
		return !harmless(value, strings.HasSuffix(joined, "code"), 0)
	case verdicts[last]:
		if negative(value) {
			return true
		}
	case unfinished[joined]:
		return !harmless(value, false, 0)
	case about && (codes[last] || strings.HasSuffix(joined, "code")):
		if badCode(value, records, last == "status" || last == "result") {
			return true
		}
	case about && kinds[last]:
		if text, ok := textOf(value); ok && speaksOfError(text) {
			return true
		}
	case about && !records && messages[last]:
		return !harmless(value, false, 0)
	}
	if value[0] != '{' || depth == deepestSign {
		return false
	}
	inner := about && headers[last]
	bad := false
	Members(value, 0, func(m Member) bool {
		plain, _ := Unquote(m.Name)
		bad = sign(string(plain), value[m.Value:m.End], records, inner, depth+1)
		return !bad
	})
	return bad
}

// ofErrors are the words of members that error objects have, and records of a
// provider have beside others.
var ofErrors = set("id", "status", "code", "title", "detail", "details", "message", "msg", "type", "links", "source", "meta", "instance", "timestamp",
	"path", "request", "trace", "success", "ok", "result", "reason", "description", "info", "help", "url", "extras", "data")

// errorRecord reports whether an element is an error object: it has an id, as
// some APIs give one to each error, but nothing else that a record has.
func errorRecord(element []byte) bool {
	only, bad := true, false
	Members(element, 0, func(m Member) bool {
		plain, _ := Unquote(m.Name)
		words := wordsOf(string(plain))
		only = slices.ContainsFunc(words, isErrorWord) || !slices.ContainsFunc(words, func(w string) bool { return !ofErrors[w] })
		bad = bad || only && sign(string(plain), element[m.Value:m.End], true, true, 0)
		return only
	})
	return only && bad
}

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

var (
	// verdicts are the last words of names whose value says yes or no.
	verdicts = set("success", "successful", "succeeded", "issuccess", "ok", "isok", "valid", "isvalid", "authenticated", "authorized", "loggedin")
	// unfinished are names whose value says that the list is not whole.
	unfinished = set("timedout", "istimedout", "incomplete", "incompleteresults", "partial", "ispartial", "partialresults", "degraded", "maintenance", "maintenancemode")
	// codes are the last words of names that hold a status or a code.
	codes = set("status", "state", "result", "results", "outcome", "code", "ret", "rc", "rcode")
	// kinds are the last words of names that may hold the class of an error.
	kinds = set("type", "kind", "level", "severity", "title")
	// messages are the last words of names that hold a text for people.
	messages = set("message", "messages", "msg", "msgs", "detail", "details", "reason", "cause")
	// headers are the last words of names whose object is about the answer.
	headers = set("status", "result", "response", "meta", "metadata", "head", "header", "info", "state", "outcome", "data")

	fine = set("", "ok", "okay", "success", "successful", "successfully", "succeeded", "none", "null", "nil", "no", "false", "n/a", "-",
		"no error", "no errors", "noerror", "done", "complete", "completed", "accepted", "found", "active", "normal", "good", "passed",
		"正常", "正常終了", "成功", "no results", "no results found", "no result", "no records", "no records found", "no data", "no data found", "no items", "no items found", "empty")
	refusals = set("false", "no", "n", "ng", "off")
	// alarming are words of a status that speak of an error, beside those of names.
	alarming = set("ng", "unavailable", "timeout", "denied", "unauthorized", "unauthenticated", "forbidden", "invalid",
		"throttled", "throttling", "exceeded", "ratelimited", "maintenance", "overloaded", "aborted")
)

// isErrorWord reports whether a word of a name or text is about an error.
func isErrorWord(word string) bool {
	switch word {
	case "err", "errs", "errno", "errcode", "errmsg", "errinfo", "fail", "fails", "failed", "failing", "failure", "failures", "fatal",
		"traceback", "stacktrace":
		return true
	}
	return strings.HasPrefix(word, "error") || strings.HasPrefix(word, "exception") || strings.HasPrefix(word, "fault") ||
		strings.HasSuffix(word, "error") || strings.HasSuffix(word, "errors")
}

func hasAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
}

// Nothing longer is a name or a status.
const (
	longName = 100
	longText = 400
)

// wordsOf splits a name such as errorCode, ERROR_CODE or @odata.error into its
// words, in lower case.
func wordsOf(name string) []string {
	if len(name) > longName {
		return nil
	}
	var words []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case unicode.IsUpper(r) && i > 0:
			next := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if before := runes[i-1]; !unicode.IsUpper(before) || next {
				end()
			}
		}
		word.WriteRune(unicode.ToLower(r))
	}
	end()
	return words
}

// textOf returns a string's content, or that it is long.
func textOf(value []byte) (string, bool) {
	switch {
	case value[0] != '"' || len(value) < 2:
		return "", false
	case len(value) > longText:
		return "a long text", true
	}
	text, ok := Unquote(value[1 : len(value)-1])
	return string(text), ok
}

// harmless reports whether a value says that there is nothing, or that all is
// well. code says that a number of success counts as such.
func harmless(value []byte, code bool, depth int) bool {
	if depth > deepestSign {
		return false
	}
	switch value[0] {
	case 'n', 'f':
		return true
	case 't':
		return false
	case '{', '[':
		good := true
		if value[0] == '{' {
			Members(value, 0, func(m Member) bool {
				good = harmless(value[m.Value:m.End], code || NameIs(m.Name, "code") || NameIs(m.Name, "status"), depth+1)
				return good
			})
		} else {
			Elements(value, 0, func(start, end int) bool {
				good = harmless(value[start:end], code, depth+1)
				return good
			})
		}
		return good
	case '"':
		text, ok := textOf(value)
		if !ok {
			return false
		}
		text = strings.ToLower(strings.TrimSpace(text))
		return fine[text] || fine[text[:max(0, len(text)-1)]] && strings.HasSuffix(text, ".") || goodNumber(text, code)
	}
	return goodNumber(string(value), code)
}

// goodNumber reports whether a number is zero or, if it is a code, one of HTTP's for success.
func goodNumber(text string, code bool) bool {
	if strings.Trim(text, "0.-") == "" && strings.Contains(text, "0") {
		return true
	}
	return code && len(text) == 3 && text[0] == '2' && isDigits(text)
}

func isDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// negative reports whether the value of "success" or "ok" denies it.
func negative(value []byte) bool {
	text, ok := textOf(value)
	if !ok {
		return value[0] == 'f' || value[0] != 'n' && value[0] != '{' && value[0] != '[' && goodNumber(string(value), false)
	}
	text = strings.ToLower(strings.TrimSpace(text))
	return refusals[text] || text != "" && goodNumber(text, false) || speaksOfError(text)
}

// badCode reports whether a status or code speaks of an error or, where there
// are no records, does not say that all is well. one says that 1 does.
func badCode(value []byte, records, one bool) bool {
	text, quoted := textOf(value)
	if !quoted {
		if value[0] == '{' || value[0] == '[' {
			return false
		}
		text = string(value)
	}
	if len(text) == 3 && isDigits(text) && (text[0] == '4' || text[0] == '5') || text == "false" || quoted && speaksOfError(text) {
		return true
	}
	return !records && !harmless(value, true, 0) && text != "true" && (!one || text != "1")
}

// speaksOfError reports whether a short text holds a word for an error.
func speaksOfError(text string) bool {
	return hasAny(text, "エラー", "错误", "錯誤", "失敗", "失败", "異常", "异常") ||
		slices.ContainsFunc(wordsOf(text), func(w string) bool { return isErrorWord(w) || alarming[w] || strings.HasSuffix(w, "exception") })
}
