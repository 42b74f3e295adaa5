package shoplinetest

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// A test is one condition of a customers' search.
type test func(*customer) bool

// customerTexts are compared as they are; a blank value looks for customers
// without one.
var customerTexts = map[string]func(*customer) []string{
	"name":         func(c *customer) []string { return []string{c.Name} },
	"email":        func(c *customer) []string { return []string{c.Email} },
	"phone":        func(c *customer) []string { return []string{text(c.Phone)} },
	"phones":       func(c *customer) []string { return orBlank(c.Phones) },
	"mobile_phone": func(c *customer) []string { return []string{c.MobilePhone} },
	"gender":       func(c *customer) []string { return []string{c.Gender} },
	"ref_user_id":  func(c *customer) []string { return []string{text(c.RefUserID)} },
	"tags":         func(c *customer) []string { return orBlank(c.Tags) },
	"membership_tier_id": func(c *customer) []string {
		if c.MembershipTier == nil {
			return []string{""}
		}
		return []string{c.MembershipTier.ID}
	},
}

var customerFlags = map[string]func(*customer) bool{
	"is_member":                     func(c *customer) bool { return c.IsMember },
	"is_blacklisted":                func(c *customer) bool { return c.IsBlacklisted },
	"is_subscribed_marketing_email": func(c *customer) bool { return c.AcceptsMarketing },
}

// customerNumbers are compared by size. Times are in seconds, to which the
// documents' values are exact.
var customerNumbers = map[string]struct {
	read func(value string) (int64, bool)
	of   func(*customer) (int64, bool)
}{
	"created_at":     {seconds, func(c *customer) (int64, bool) { return c.CreatedAt.seconds() }},
	"updated_at":     {seconds, func(c *customer) (int64, bool) { return c.UpdatedAt.seconds() }},
	"registered_at":  {seconds, func(c *customer) (int64, bool) { return c.RegisteredAt.seconds() }},
	"birthday":       {seconds, func(c *customer) (int64, bool) { return seconds(c.Birthday) }},
	"birth_month":    {integer, func(c *customer) (int64, bool) { return int64(c.BirthMonth), c.BirthMonth > 0 }},
	"credit_balance": {integer, func(c *customer) (int64, bool) { return int64(c.CreditBalance), true }},
}

// searched are the fields in which query looks, unless search_fields names
// some of them.
var searched = []string{"name", "email", "phones", "mobile_phone"}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func orBlank(list []string) []string {
	if len(list) == 0 {
		return []string{""}
	}
	return list
}

func (t *stamp) seconds() (int64, bool) {
	if t == nil || t.time.IsZero() {
		return 0, false
	}
	return t.time.Unix(), true
}

func seconds(value string) (int64, bool) {
	for _, layout := range []string{time.DateTime, time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, value); err == nil {
			return t.Unix(), true
		}
	}
	return 0, false
}

func integer(value string) (int64, bool) {
	n, err := strconv.ParseInt(value, 10, 64)
	return n, err == nil
}

// customerTests reads a search's conditions, all of which have to hold. Names
// that the search does not have are ignored, as everywhere in this API.
func customerTests(q url.Values) (tests []test, problem string) {
	for _, name := range slices.Sorted(maps.Keys(q)) {
		value := q.Get(name)
		var t test
		switch {
		case name == "id[]" || name == "id":
			t = func(c *customer) bool { return slices.Contains(q[name], c.ID) }
		case name == "query":
			if t = contains(q); t == nil {
				return nil, "search_fields names what cannot be searched"
			}
		case customerTexts[name] != nil:
			t = equals(customerTexts[name], value)
		case customerFlags[name] != nil:
			t = func(c *customer) bool { return customerFlags[name](c) == sandbox.IsTrue(value) }
		case customerNumbers[name].of != nil:
			if t = compares(name, value); t == nil {
				return nil, name + " is nothing that can be compared"
			}
		default:
			continue
		}
		tests = append(tests, t)
	}
	return tests, ""
}

func equals(of func(*customer) []string, value string) test {
	wanted, negated := strings.CutPrefix(value, "not:")
	return func(c *customer) bool { return slices.Contains(of(c), wanted) != negated }
}

// contains looks for a part of a text, whatever its case.
func contains(q url.Values) test {
	fields := append(slices.Clone(q["search_fields"]), q["search_fields[]"]...)
	if len(fields) == 0 {
		fields = searched
	}
	if slices.ContainsFunc(fields, func(f string) bool { return !slices.Contains(searched, f) }) {
		return nil
	}
	wanted := strings.ToLower(q.Get("query"))
	return func(c *customer) bool {
		for _, f := range fields {
			for _, has := range customerTexts[f](c) {
				if strings.Contains(strings.ToLower(has), wanted) {
					return true
				}
			}
		}
		return false
	}
}

// compares reads gte:100 and its like; a value alone is meant itself.
func compares(name, value string) test {
	number := customerNumbers[name]
	holds := func(order int) bool { return order == 0 }
	for _, o := range []struct {
		prefix string
		holds  func(order int) bool
	}{
		{"not:", func(order int) bool { return order != 0 }}, {"lte:", func(order int) bool { return order <= 0 }},
		{"gte:", func(order int) bool { return order >= 0 }}, {"lt:", func(order int) bool { return order < 0 }}, {"gt:", func(order int) bool { return order > 0 }},
	} {
		if rest, ok := strings.CutPrefix(value, o.prefix); ok {
			value, holds = rest, o.holds
			break
		}
	}
	wanted, ok := number.read(value)
	if !ok {
		return nil
	}
	return func(c *customer) bool {
		has, there := number.of(c)
		return there && holds(cmp.Compare(has, wanted))
	}
}

// passes reports whether a customer meets all tests.
func passes(raw json.RawMessage, tests []test) bool {
	var c customer
	_ = json.Unmarshal(raw, &c) // a slip of type leaves a field empty
	return !slices.ContainsFunc(tests, func(t test) bool { return !t(&c) })
}
