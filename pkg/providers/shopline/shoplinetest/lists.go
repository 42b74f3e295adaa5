package shoplinetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

const (
	defaultPerPage = 24
	maxPerPage     = 999
)

// timeNames are the prefixes of the time parameters, in the order of an
// index's times. Customers and plain order lists have the first two.
var timeNames = []string{"created", "updated", "shipped", "arrived", "collected", "returned", "cancelled", "paid"}

// listFilters and searchFilters say which values of an order a parameter is
// compared with.
var (
	listFilters = map[string]func(*order) []string{
		"order_ids[]": func(o *order) []string { return []string{o.ID} },
		"customer_id": func(o *order) []string { return []string{o.CustomerID} },
	}
	searchFilters = map[string]func(*order) []string{
		"order_number":                     func(o *order) []string { return []string{o.OrderNumber} },
		"customer_id":                      func(o *order) []string { return []string{o.CustomerID} },
		"customer_email":                   func(o *order) []string { return []string{o.CustomerEmail} },
		"name":                             func(o *order) []string { return []string{o.CustomerName} },
		"phone_number":                     func(o *order) []string { return []string{o.CustomerPhone} },
		"delivery_data_tracking_number":    func(o *order) []string { return []string{o.DeliveryData.TrackingNumber} },
		"promotion_id":                     func(o *order) []string { return o.promotions() },
		"item_id":                          func(o *order) []string { return o.items() },
		"status":                           func(o *order) []string { return []string{o.Status} },
		"statuses[]":                       func(o *order) []string { return []string{o.Status} },
		"payment_id":                       func(o *order) []string { return []string{o.Payment.MethodID} },
		"payment_status":                   func(o *order) []string { return []string{o.Payment.Status} },
		"delivery_option_id":               func(o *order) []string { return []string{o.Delivery.OptionID} },
		"delivery_status":                  func(o *order) []string { return []string{o.Delivery.Status} },
		"delivery_statuses[]":              func(o *order) []string { return []string{o.Delivery.Status} },
		"affiliate_data[affiliate_source]": func(o *order) []string { return []string{o.AffiliateData.Source} },
		"created_by":                       func(o *order) []string { return []string{o.CreatedBy} },
		"query":                            func(o *order) []string { return []string{o.OrderNumber, o.CustomerName, o.CustomerEmail} },
	}
)

// A listing is one list route.
type listing struct {
	table   *table
	times   []string
	filters map[string]func(*order) []string
	tests   func(url.Values) (tests []test, problem string) // of a search of customers, which knows pages only
	search  bool                                            // sort_by names a field and order_by the direction
	pages   int                                             // asked for by cursor since its first page
}

// A choice is what a request asks of a list.
type choice struct {
	page, size      int
	drift           int // by how many records the page lies elsewhere
	previous        string
	descending      bool
	byTotal         bool
	after, before   [timeCount]int64 // milliseconds; 0: open
	filters, fields url.Values
	tests           []test
}

func (s *Records) list(l *listing) sandbox.Handler {
	return func(w http.ResponseWriter, r *sandbox.Request) {
		c, problem := l.choose(r.URL.Query())
		if problem != "" {
			refuse(w, http.StatusUnprocessableEntity, "UnprocessableEntity", problem)
			return
		}
		if s.set.ClampPerPage > 0 {
			c.size = min(c.size, s.set.ClampPerPage)
		}
		if number := l.count(c); number > 1 {
			if s.set.BetweenPages != nil {
				s.set.BetweenPages(number)
			}
			c.drift = s.server.Drifting()
		}
		s.mu.Lock()
		rows, total := l.read(c, s.set.SearchWindow, func(rows []*row) []*row { return sandbox.Disordered(s.server, rows) })
		body := l.render(rows, c, total)
		s.mu.Unlock()
		sandbox.Encoded(w, body)
	}
}

// count returns the number of the page, from 1.
func (l *listing) count(c choice) int {
	switch {
	case c.page > 1:
		return c.page
	case c.previous == "":
		l.pages = 0
	}
	l.pages++
	return l.pages
}

// choose reads a request's parameters and ignores those it does not know.
func (l *listing) choose(q url.Values) (choice, string) {
	c := choice{page: 1, size: defaultPerPage, previous: q.Get("previous_id"), filters: url.Values{}, fields: url.Values{}}
	if l.tests != nil {
		var problem string
		if c.tests, problem = l.tests(q); problem != "" {
			return c, problem
		}
		q = url.Values{"page": q["page"], "per_page": q["per_page"]}
		c.previous = ""
	}
	var ok bool
	if c.size, ok = whole(q, "per_page", defaultPerPage, maxPerPage); !ok {
		return c, fmt.Sprintf("per_page must be 1 to %d", maxPerPage)
	}
	if c.previous == "" {
		if c.page, ok = whole(q, "page", 1, 1<<31); !ok {
			return c, "page must be a positive integer"
		}
	}
	direction := q.Get("sort_by")
	if l.search {
		direction = q.Get("order_by")
		c.byTotal = q.Get("sort_by") == "total"
	}
	c.descending = direction != "asc"
	if direction != "" && direction != "asc" && direction != "desc" || c.byTotal && c.previous != "" {
		return c, "the order is none that this list has"
	}
	for i, name := range l.times {
		if c.after[i], ok = instant(q.Get(name + "_after")); !ok {
			return c, name + "_after is no time"
		}
		if c.before[i], ok = instant(q.Get(name + "_before")); !ok {
			return c, name + "_before is no time"
		}
	}
	for name := range l.filters {
		if values := q[name]; len(values) > 0 {
			c.filters[name] = values
		}
	}
	if values := q["fields[]"]; len(values) > 0 && l.filters == nil {
		c.fields["fields"] = values
	}
	return c, ""
}

func whole(q url.Values, name string, fallback, most int) (int, bool) {
	if len(q[name]) == 0 {
		return fallback, true
	}
	n, err := strconv.Atoi(q.Get(name))
	return n, err == nil && n >= 1 && n <= most
}

// instant reads the documented form and, as clients report, RFC 3339.
func instant(s string) (milliseconds int64, ok bool) {
	if s == "" {
		return 0, true
	}
	for _, layout := range []string{time.DateTime, time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}

// read returns the rows of one page, of a list that order may change, and the number of
// all that match.
func (l *listing) read(c choice, window int, order func([]*row) []*row) (page []*row, total int) {
	var rows []*row
	for _, r := range l.table.rows {
		if !r.archived && c.covers(r) && l.matches(c, r) && (len(c.tests) == 0 || passes(l.table.json(r), c.tests)) {
			rows = append(rows, r)
		}
	}
	if c.descending {
		slices.Reverse(rows)
	}
	if c.byTotal {
		slices.SortStableFunc(rows, func(a, b *row) int {
			if c.descending {
				a, b = b, a
			}
			return cmp.Compare(a.total, b.total)
		})
	}
	rows = order(rows)
	total = len(rows)
	if c.previous != "" {
		rows = slices.DeleteFunc(rows, func(r *row) bool {
			return r.id == c.previous && c.drift >= 0 || r.id != c.previous && (r.id < c.previous) != c.descending
		})
	} else if l.search && window > 0 {
		rows = rows[:min(window, len(rows))]
	}
	start := (c.page - 1) * c.size
	if c.drift > 0 || c.previous == "" {
		start += c.drift
	}
	start = min(max(start, 0), len(rows))
	return rows[start:min(start+c.size, len(rows))], total
}

// covers compares the times; a range is inclusive, and a record without that
// time is outside it.
func (c choice) covers(r *row) bool {
	for i, at := range r.times {
		if (c.after[i] != 0 || c.before[i] != 0) && at == 0 ||
			c.after[i] != 0 && at < c.after[i] || c.before[i] != 0 && at > c.before[i] {
			return false
		}
	}
	return true
}

func (l *listing) matches(c choice, r *row) bool {
	if len(c.filters) == 0 {
		return true
	}
	var o order
	_ = json.Unmarshal(l.table.json(r), &o) // a slip of type leaves a field empty
	for name, wanted := range c.filters {
		has := l.filters[name](&o)
		if !slices.ContainsFunc(wanted, func(w string) bool { return slices.ContainsFunc(has, func(h string) bool { return same(name, h, w) }) }) {
			return false
		}
	}
	return true
}

func same(name, has, wanted string) bool {
	if name == "query" {
		return strings.Contains(has, wanted)
	}
	return has == wanted
}

// render joins the records' own bytes.
func (l *listing) render(rows []*row, c choice, total int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i, r := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(project(l.table.json(r), c.fields["fields"]))
	}
	fmt.Fprintf(&b, `],"pagination":{"current_page":%d,"per_page":%d,"total_pages":%d,"total_count":%d}}`,
		c.page, c.size, (total+c.size-1)/c.size, total)
	return b.Bytes()
}

// project cuts a record down to the named attributes; none means all.
func project(raw json.RawMessage, names []string) json.RawMessage {
	if len(names) == 0 {
		return raw
	}
	var record map[string]json.RawMessage
	_ = json.Unmarshal(raw, &record) // an object, or it would have no id
	maps.DeleteFunc(record, func(name string, _ json.RawMessage) bool { return !slices.Contains(names, name) })
	return sandbox.Record(record)
}

// customerByLine serves the customer with a LINE id.
func (s *Records) customerByLine(w http.ResponseWriter, r *sandbox.Request) {
	line := r.PathValue("line")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range s.customers.rows {
		raw := s.customers.json(row)
		var c customer
		_ = json.Unmarshal(raw, &c) // a slip of type leaves a field empty
		if c.LineID != nil && *c.LineID == line {
			sandbox.Encoded(w, raw)
			return
		}
	}
	refuse(w, http.StatusNotFound, "NotFound", "no customer has this LINE id")
}

var wellFormedID = regexp.MustCompile(`^[0-9a-f]{24}$`)

// single serves one record. malformed is the status for what is no id.
func (s *Records) single(t *table, malformed int) sandbox.Handler {
	return func(w http.ResponseWriter, r *sandbox.Request) {
		id := r.PathValue("id")
		s.mu.Lock()
		defer s.mu.Unlock()
		place, found := t.find(id)
		switch {
		case found && t.rows[place].archived:
			refuse(w, http.StatusGone, "Gone", "the order is archived")
		case found:
			sandbox.Encoded(w, t.json(t.rows[place]))
		case !wellFormedID.MatchString(id):
			refuse(w, malformed, "NotAnID", "no record has this id")
		default:
			refuse(w, http.StatusNotFound, "NotFound", "no record has this id")
		}
	}
}
