package proveexport

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// An account is a provider's sandbox as one dataset is exported from it.
type account struct {
	handler http.Handler
	token   providers.Token
	vars    map[string]string // settings of the export that the account calls for
	paging  paging
	id      string          // name of a record's id
	all     func() []string // every record, as lists serve it

	// What people do meanwhile. Each takes its choices from chance.
	insert, remove, change func(chance *rand.Rand)
	// times returns the times by which an incremental run selects a record,
	// by the name of the pass.
	times func(record string) map[string]time.Time
}

// A paging is how a query chooses its rows.
type paging struct {
	style    string // offset, page, cursor or none
	size, at string // names of the parameters
	most     int    // rows that the sandbox puts on a page
	clamp    int    // to which the server lowers a page's size without a word; 0: never
	fixed    int    // the only size of a page, whatever is asked for; 0: any
}

// first reports whether a query asks for the beginning of its list.
func (p paging) first(q url.Values) bool {
	switch p.style {
	case "cursor":
		return q.Get(p.at) == "" && (q.Get("page") == "" || q.Get("page") == "1")
	case "none":
		return true
	}
	start, _ := p.rows(q, 1<<30)
	return start == 0
}

// rows returns the range of the rows of a list of n that a query asks for, by
// offset or by page.
func (p paging) rows(q url.Values, n int) (from, to int) {
	size := p.limit(q)
	if p.style == "none" {
		return 0, n
	}
	from, _ = strconv.Atoi(q.Get(p.at))
	if p.style == "page" {
		from = (max(from, 1) - 1) * size
	}
	return min(from, n), min(from+size, n)
}

func (p paging) limit(q url.Values) int {
	size, err := strconv.Atoi(q.Get(p.size))
	switch {
	case p.fixed > 0:
		return p.fixed
	case err != nil:
		size = 50
	}
	if p.clamp > 0 {
		size = min(size, p.clamp)
	}
	return min(size, p.most)
}

// obey changes a query to what the server makes of it.
func (p paging) obey(q url.Values) {
	if p.size != "" {
		q.Set(p.size, strconv.Itoa(p.limit(q)))
	}
}

// whole changes a query so that it asks for all rows.
func (p paging) whole(q url.Values) {
	if p.size != "" {
		q.Del(p.at)
		q.Set(p.size, strconv.Itoa(p.most))
	}
}

// A way is a dataset in one way of paging. Its name is shown.
type way struct {
	name, dataset string
	open          func(o sandbox.Options, page int, chance *rand.Rand) *account
}

// ways are all that the export reads, the ways that a list may be asked for the
// second time included.
var ways = []way{
	{"yappli/users, offset", "yappli/users", openMembers("offset")},
	{"yappli/users, page", "yappli/users", openMembers("page")},
	{"yappli/users, fixed page", "yappli/users", openMembers("fixed")},
	{"supersaas/users", "supersaas/users", openBookers},
	{"supersaas/appointments, range", "supersaas/appointments", openBookings(false)},
	{"supersaas/appointments, changes", "supersaas/appointments", openBookings(true)},
	{"shopline/customers", "shopline/customers", openShop("customers")},
	{"shopline/orders", "shopline/orders", openShop("orders")},
	{"assisttencho/orders, none", "assisttencho/orders", openSales(assisttencho.PagingNone)},
	{"assisttencho/orders, page", "assisttencho/orders", openSales(assisttencho.PagingPage)},
	{"assisttencho/orders, offset", "assisttencho/orders", openSales(assisttencho.PagingOffset)},
}

func pick[T any](chance *rand.Rand, of ...T) T { return of[chance.IntN(len(of))] }

const providerURL = "https://provider.test"

func pageSize(rows int) map[string]string {
	return map[string]string{"HIKYAKU_EXPORT_PAGE_SIZE": strconv.Itoa(rows)}
}

// clamp is a page size that a quarter of the servers does not exceed.
func clamp(chance *rand.Rand) int {
	if chance.IntN(4) > 0 {
		return 0
	}
	return 2 + chance.IntN(9)
}

// mark is a value that nothing else has, so that a change shows.
func mark(chance *rand.Rand) string { return fmt.Sprintf("変更 %d", chance.Uint64()) }

func openMembers(style string) func(sandbox.Options, int, *rand.Rand) *account {
	return func(o sandbox.Options, page int, chance *rand.Rand) *account {
		o.Records *= 2 // every other one leaves a gap, into which others come
		s := yapplitest.New(o)
		s.Tokens.Life = 0
		s.Wrapper = pick(chance, "table", "table", "flat", "inner")
		for n := range max(o.Records, 0) / 2 {
			s.Delete(strconv.Itoa(1001 + 2*n + chance.IntN(2)))
		}
		a := &account{
			handler: s, id: "id", vars: pageSize(page),
			paging: paging{style: "offset", size: "limit", at: "offset", most: 1000, clamp: clamp(chance)},
		}
		if style != "offset" {
			s.Generation = 3
			a.paging = paging{style: "page", size: "per_page", at: "page", most: 1000, clamp: a.paging.clamp}
		}
		if style == "fixed" {
			a.paging.fixed = 2 + chance.IntN(9)
		}
		a.all = func() (all []string) {
			for _, m := range s.Members() {
				all = append(all, string(m.JSON()))
			}
			return all
		}
		a.token = s.Token(providerURL)
		a.token.ExpiresAt = time.Time{}
		someone := func(chance *rand.Rand) (string, bool) {
			members := s.Members()
			if len(members) == 0 {
				return "", false
			}
			return members[chance.IntN(len(members))].ID, true
		}
		a.insert = func(chance *rand.Rand) {
			s.Put(yapplitest.Member{ID: strconv.Itoa(1001 + chance.IntN(max(o.Records, 1)+20)), Values: map[string]string{"unique_id": mark(chance), "column01": mark(chance)}})
		}
		a.remove = func(chance *rand.Rand) {
			if id, ok := someone(chance); ok {
				s.Delete(id)
			}
		}
		a.change = func(chance *rand.Rand) {
			if id, ok := someone(chance); ok {
				m, _ := s.Find(id)
				m.Values["column01"] = mark(chance)
				m.Values["updated_at"] = s.Now().In(time.FixedZone("JST", 9*3600)).Format(time.DateTime)
				s.Put(m)
			}
		}
		return a
	}
}

func openBookers(o sandbox.Options, page int, chance *rand.Rand) *account {
	s := supersaastest.New(o)
	s.Knobs.Order = pick(chance, supersaastest.ByName, supersaastest.ByID, supersaastest.Shuffled)
	a := &account{
		handler: s, token: s.Token(providerURL), id: "id", vars: pageSize(page),
		paging: paging{style: "offset", size: "limit", at: "offset", most: 1000, clamp: clamp(chance)},
	}
	a.all = func() []string { return a.ask("/api/users.json?limit=1000") }
	someone := func(chance *rand.Rand) (int64, bool) {
		ids := s.UserIDs()
		if len(ids) == 0 {
			return 0, false
		}
		return pick(chance, ids...), true
	}
	a.insert = func(chance *rand.Rand) {
		s.Quiet().AddUser(map[string]any{"name": fmt.Sprintf("%c%d@mail.example", 'a'+chance.IntN(26), chance.Uint64()), "full_name": mark(chance)})
	}
	a.remove = func(chance *rand.Rand) {
		if id, ok := someone(chance); ok {
			s.Quiet().DeleteUser(id)
		}
	}
	a.change = func(chance *rand.Rand) {
		if id, ok := someone(chance); ok {
			s.Quiet().ChangeUser(id, map[string]any{"full_name": mark(chance)})
		}
	}
	return a
}

func openBookings(changes bool) func(sandbox.Options, int, *rand.Rand) *account {
	return func(o sandbox.Options, page int, chance *rand.Rand) *account {
		if o.Records > 0 {
			o.Records = 1 + o.Records*3/2 // over three schedules
		}
		s := supersaastest.New(o)
		s.Knobs.BareLists = chance.IntN(4) == 0
		s.Knobs.Tuples = chance.IntN(2) == 0
		slots := !changes && chance.IntN(3) == 0 // a slot of changes holds but its changed bookings
		a := &account{
			handler: s, token: s.Token(providerURL), id: "id", vars: pageSize(page),
			paging: paging{style: "offset", size: "limit", at: "offset", most: 1000, clamp: clamp(chance)},
		}
		if slots {
			a.vars["HIKYAKU_SUPERSAAS_SCHEDULES"] = "555001,555002:slots,555003"
		}
		path := "/api/range/%d.json?limit=1000"
		if changes {
			a.vars["HIKYAKU_EXPORT_APPOINTMENTS"] = "changes"
			path = "/api/changes/%d.json?limit=1000&from=2000-01-01%%2000:00:00"
			a.times = bookingTimes
		}
		schedules := []int64{supersaastest.ResourceSchedule, supersaastest.CapacitySchedule, supersaastest.ServiceSchedule}
		a.all = func() (all []string) {
			for _, id := range schedules {
				list := fmt.Sprintf(path, id)
				if slots && id == supersaastest.CapacitySchedule {
					list += "&slot=true"
				}
				all = append(all, a.ask(list)...)
			}
			return all
		}
		ids := func() (all []int64) {
			for n := range max(o.Records, 0) {
				all = append(all, int64(90210001+n))
			}
			return all
		}()
		a.insert = func(chance *rand.Rand) {
			day := time.Date(2025, 4, 8+chance.IntN(4), 9+chance.IntN(10), 0, 0, 0, time.FixedZone("Asia/Tokyo", 9*3600))
			ids = append(ids, s.Quiet().Book(pick(chance, schedules...), 0, day))
		}
		edit := func(event string) func(*rand.Rand) {
			return func(chance *rand.Rand) {
				if len(ids) > 0 {
					s.Quiet().ChangeBooking(pick(chance, ids...), event)
				}
			}
		}
		a.remove = edit("destroy")
		a.change = func(chance *rand.Rand) { edit(pick(chance, "edit", "pending", "approve"))(chance) }
		return a
	}
}

// bookingTimes: a booking's time of change is that of its making until it is
// changed. A slot has no such time.
func bookingTimes(record string) map[string]time.Time {
	var b struct {
		Created time.Time `json:"created_on"`
		Updated time.Time `json:"updated_on"`
	}
	if json.Unmarshal([]byte(record), &b) != nil || b.Created.IsZero() {
		return nil
	}
	if b.Updated.IsZero() {
		b.Updated = b.Created
	}
	return map[string]time.Time{"": b.Updated}
}

func openShop(list string) func(sandbox.Options, int, *rand.Rand) *account {
	return func(o sandbox.Options, page int, chance *rand.Rand) *account {
		s := shoplinetest.New(o)
		a := &account{
			handler: s, token: s.Token(providerURL), id: "id", vars: pageSize(page), times: shopTimes,
			paging: paging{style: "cursor", size: "per_page", at: "previous_id", most: 999, clamp: clamp(chance)},
		}
		a.all = func() []string { return a.ask("/v1/" + list + "?sort_by=asc&per_page=999") }
		someone := func(chance *rand.Rand) (record map[string]any) {
			if all := a.all(); len(all) > 0 {
				_ = json.Unmarshal([]byte(pick(chance, all...)), &record)
			}
			return record
		}
		put, update, drop := s.PutCustomer, s.UpdateCustomer, s.DeleteCustomer
		if list == "orders" {
			put, update, drop = s.PutOrder, s.UpdateOrder, s.DeleteOrder
		}
		serial := 0
		a.insert = func(chance *rand.Rand) {
			record := someone(chance)
			if record == nil {
				record = map[string]any{}
			}
			serial++
			now := s.Now().UTC()
			record["id"] = fmt.Sprintf("%08x%010x%06x", now.Unix(), chance.Uint64N(1<<40), serial)
			record["created_at"], record["updated_at"] = now.Format("2006-01-02T15:04:05.000-07:00"), now.Format("2006-01-02T15:04:05.000-07:00")
			delete(record, "order_delivery")
			raw, _ := json.Marshal(record)
			_ = put(raw)
		}
		a.remove = func(chance *rand.Rand) {
			drop(fmt.Sprint(someone(chance)["id"]))
		}
		a.change = func(chance *rand.Rand) {
			id := fmt.Sprint(someone(chance)["id"])
			if list == "orders" && chance.IntN(3) == 0 { // which leaves updated_at alone
				_ = s.ChangeDelivery(id, pick(chance, "shipped", "arrived", "collected", "returned"))
				return
			}
			_ = update(id, map[string]any{"memo": mark(chance)})
		}
		return a
	}
}

// shopTimes are the times of a customer or an order by the names of the passes.
func shopTimes(record string) map[string]time.Time {
	var r struct {
		Updated  string `json:"updated_at"`
		Delivery struct {
			Shipped   string `json:"shipped_at"`
			Arrived   string `json:"arrived_at"`
			Collected string `json:"collected_at"`
			Returned  string `json:"returned_at"`
		} `json:"order_delivery"`
	}
	_ = json.Unmarshal([]byte(record), &r)
	times := map[string]time.Time{}
	for pass, text := range map[string]string{
		"updated": r.Updated, "shipped": r.Delivery.Shipped, "arrived": r.Delivery.Arrived, "collected": r.Delivery.Collected, "returned": r.Delivery.Returned,
	} {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			times[pass] = at
		}
	}
	return times
}

func openSales(style assisttencho.PagingStyle) func(sandbox.Options, int, *rand.Rand) *account {
	return func(o sandbox.Options, page int, chance *rand.Rand) *account {
		s := assisttenchotest.New(o)
		s.Quirks.Paging = assisttencho.Paging{Style: style, Size: 500}
		s.Quirks.Envelope = pick(chance, "orders", "orders", "response.orders")
		a := &account{handler: s, id: "serial_order_id", vars: pageSize(page)}
		switch style {
		case assisttencho.PagingNone:
			a.paging = paging{style: "none"}
		case assisttencho.PagingPage:
			a.paging = paging{style: "page", size: "limit", at: "page", most: 500}
		default:
			a.paging = paging{style: "offset", size: "limit", at: "offset", most: 500}
		}
		a.all = func() []string { return a.ask("/api/v1/orders.php?limit=500") }
		a.token = s.Token(providerURL)
		next := max(o.Records, 0)
		someone := func(chance *rand.Rand) int { return 1 + chance.IntN(max(next, 1)) }
		a.insert = func(chance *rand.Rand) { next = s.Insert(map[string]any{"memo": mark(chance)}) }
		a.remove = func(chance *rand.Rand) { s.Delete(someone(chance)) }
		a.change = func(chance *rand.Rand) { s.Update(someone(chance), map[string]any{"memo": mark(chance)}) }
		return a
	}
}
