package shopline_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// ask is another program's request to a shop.
func ask(t *testing.T, shop *shoplinetest.Server, method, path, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", shoplinetest.Handle)
	r.Header.Set("Content-Type", "application/json")
	token := shop.Token(base)
	r.Header.Set("Authorization", "Bearer "+token.Credential.Reveal())
	answer, err := shop.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var value map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&value); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return answer.StatusCode, value
}

func total(value map[string]any) int {
	pages, _ := value["pagination"].(map[string]any)
	n, _ := pages["total_count"].(float64)
	return int(n)
}

func TestCustomersSearch(t *testing.T) {
	t.Parallel()
	shop, _ := open(-1)
	for _, record := range []string{
		`{"id":"65f000000000000000000001","name":"王小明","email":"Ming@mail.example","phones":["0900-000-001"],"mobile_phone":"0900000001","gender":"male","birthday":"1990-05-12","birth_month":5,"credit_balance":100,"is_member":true,"tags":["vip"],"ref_user_id":"M1","membership_tier":{"id":"t1"},"created_at":"2026-01-02T03:04:05.678+00:00","updated_at":"2026-02-01T00:00:00.000+00:00","registered_at":"2026-01-03T00:00:00.000+00:00"}`,
		`{"id":"65f000000000000000000002","name":"陳小美","email":"mei@mail.example","phones":[],"mobile_phone":"0900000002","gender":"female","birthday":"1985-12-01","birth_month":12,"credit_balance":0,"is_member":false,"is_blacklisted":true,"tags":[],"created_at":"2026-03-02T00:00:00.000+00:00"}`,
		`{"id":"65f000000000000000000003","name":"林","email":"lin@other.example","gender":null,"credit_balance":50,"is_member":true,"is_subscribed_marketing_email":true,"created_at":"2026-04-02T00:00:00.000+00:00"}`,
	} {
		if err := shop.PutCustomer([]byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]string{
		"": "321", "query=小": "21", "query=MAIL.EXAMPLE": "21", "query=0900": "21", "query=0900-": "1", "query=0900&search_fields=email": "", "query=lin&search_fields[]=email&search_fields[]=name": "3",
		"name=王小明": "1", "name=not:王小明": "32", "email=mei@mail.example": "2", "mobile_phone=0900000002": "2", "phones=0900-000-001": "1", "phones=not:": "1", "phone=": "321",
		"gender=female": "2", "gender=not:female": "31", "membership_tier_id=": "32", "membership_tier_id=not:": "1", "membership_tier_id=t1": "1", "ref_user_id=M1": "1", "tags=vip": "1", "tags=not:vip": "32",
		"id[]=65f000000000000000000001&id[]=65f000000000000000000003": "31", "id[]=x": "",
		"is_member=true": "31", "is_member=True": "31", "is_member=false": "2", "is_blacklisted=true": "2", "is_subscribed_marketing_email=1": "3",
		"created_at=2026-01-02 03:04:05": "1", "created_at=gte:2026-03-02": "32", "created_at=gt:2026-03-02": "3", "created_at=lt:2026-03-02": "1", "created_at=lte:2026-03-02": "21", "created_at=not:2026-03-02": "31",
		"updated_at=gt:2026-01-01": "1", "registered_at=lt:2027-01-01": "1", "birthday=1985-12-01": "2", "birthday=gte:1986-01-01": "1", "birth_month=lte:5": "1", "birth_month=not:5": "2",
		"credit_balance=gt:0": "31", "credit_balance=50": "3", "credit_balance=not:50": "21", "credit_balance=gte:50&is_member=true&tags=vip": "1",
		"previous_id=65f000000000000000000002": "321", "created_after=2026-04-01 00:00:00": "321", "sort_by=asc": "321", "unknown=1": "321", "fields[]=id": "321",
		"per_page=2": "32", "per_page=2&page=2": "1",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		status, answer := ask(t, shop, "GET", "/v1/customers/search?"+values.Encode(), "")
		got := ""
		items, _ := answer["items"].([]any)
		for _, item := range items {
			id, _ := item.(map[string]any)["id"].(string)
			got += id[23:]
		}
		if status != 200 || got != want || !strings.HasPrefix(query, "per_page") && total(answer) != len(want) {
			t.Errorf("%s: %d, found %s of %d, want %s", query, status, got, total(answer), want)
		}
	}
	for _, query := range []string{"created_at=yesterday", "created_at=gt:", "birth_month=May", "credit_balance=gte:x", "per_page=1000", "page=0", "query=a&search_fields=gender"} {
		if status, answer := ask(t, shop, "GET", "/v1/customers/search?"+query, ""); status != 422 || answer["code"] != "UnprocessableEntity" {
			t.Errorf("%s: %d %v", query, status, answer)
		}
	}
}

func TestCustomerByLineID(t *testing.T) {
	t.Parallel()
	shop, _ := open(12)
	found := 0
	_, list := ask(t, shop, "GET", "/v1/customers?per_page=50", "")
	items, _ := list["items"].([]any)
	for _, item := range items {
		customer, _ := item.(map[string]any)
		line, linked := customer["line_id"].(string)
		if !linked {
			continue
		}
		found++
		if status, answer := ask(t, shop, "GET", "/v1/customers/line/"+line, ""); status != 200 || answer["id"] != customer["id"] {
			t.Errorf("%s: %d %v", line, status, answer["id"])
		}
	}
	if found != 3 {
		t.Errorf("%d customers with a LINE id", found)
	}
	if status, answer := ask(t, shop, "GET", "/v1/customers/line/unknown", ""); status != 404 || answer["code"] != "NotFound" {
		t.Errorf("%d %v", status, answer)
	}
}

// An order says of its customer what the schema has; an array is a reading of
// it that must be asked for.
func TestCustomerInfo(t *testing.T) {
	t.Parallel()
	for _, arrays := range []bool{false, true} {
		shop, _ := open(12)
		shop.InfoArrays = arrays
		_, list := ask(t, shop, "GET", "/v1/orders?per_page=50", "")
		items, _ := list["items"].([]any)
		objects := 0
		for _, item := range items {
			if info, ok := item.(map[string]any)["customer_info"].(map[string]any); ok && info["gender"] != "" && info["birthday"] != "" && info["custom_data"] != nil {
				objects++
			}
		}
		if want := map[bool]int{false: 12, true: 10}[arrays]; objects != want {
			t.Errorf("arrays %v: %d objects of %d", arrays, objects, len(items))
		}
	}
}

// TestArchivedOrders asks for a report and follows it to its orders.
func TestArchivedOrders(t *testing.T) {
	t.Parallel()
	shop, _ := open(6)
	posted := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted <- r.Header.Get("Content-Type") + " " + string(body)
	}))
	defer receiver.Close()
	var ids []string
	_, list := ask(t, shop, "GET", "/v1/orders?sort_by=asc", "")
	items, _ := list["items"].([]any)
	for _, item := range items {
		id, _ := item.(map[string]any)["id"].(string)
		ids = append(ids, id)
	}
	for _, id := range ids[1:4] {
		if err := shop.Archive(id); err != nil {
			t.Fatal(err)
		}
	}
	_, first := ask(t, shop, "GET", "/v1/orders/"+ids[0], "")
	body := func(start, end, callback string) string {
		return `{"filters":{"start_date":"` + start + `","end_date":"` + end + `"},"callback_url":"` + callback + `"}`
	}
	const from, to = "2025-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"
	for _, wrong := range []string{
		"", "{", "{}", `{"filters":5}`, body("", to, "https://shop.example/x"), body(from, "tomorrow", "https://shop.example/x"), body(to, from, "https://shop.example/x"),
		body(from, to, ""), body(from, to, "http://shop.example/x"), body(from, to, "https://127.0.0.1/x"), body(from, to, "https://localhost/x"), body(from, to, "https://[::1]/x"), body(from, to, "https://10.0.0.1/x"), body(from, to, receiver.URL),
	} {
		if status, answer := ask(t, shop, "POST", "/v1/orders/archived_orders", wrong); status != 422 || answer["code"] != "UnprocessableEntity" {
			t.Errorf("%s: %d %v", wrong, status, answer)
		}
	}
	shop.AllowLocal = true
	status, answer := ask(t, shop, "POST", "/v1/orders/archived_orders", body(from, to, receiver.URL))
	jobs, _ := answer["message"].([]any)
	if status != 200 || len(jobs) != 1 {
		t.Fatalf("%d %v", status, answer)
	}
	job, _ := jobs[0].(map[string]any)
	done := shop.Callbacks()
	if len(done) != 1 || done[0].Status != 200 || done[0].Err != nil || done[0].Target != receiver.URL {
		t.Fatalf("%+v", done)
	}
	media, text, _ := strings.Cut(<-posted, " ")
	var message struct {
		Topic   string   `json:"topic"`
		Event   string   `json:"event"`
		Job     string   `json:"job_id"`
		Shop    string   `json:"merchant_id"`
		Status  string   `json:"status"`
		Start   string   `json:"start_date"`
		Links   []string `json:"download_links"`
		Handle  string   `json:"merchant_handle"`
		Problem *string  `json:"error_message"`
	}
	if err := json.Unmarshal([]byte(text), &message); err != nil || media != "application/json" || message.Topic != "order/get_archived_order" || message.Event != "Order" || message.Job != job["job_id"] ||
		message.Shop != shoplinetest.MerchantID || message.Handle != shoplinetest.Handle || message.Status != "success" || message.Start != from || message.Problem != nil || len(message.Links) != 1 {
		t.Fatalf("%v %s %s", err, media, text)
	}
	if got := download(t, shop, message.Links[0]); len(got) != 3 || got[0].ID != ids[1] || got[2].ID != ids[3] {
		t.Errorf("the report holds %v of %v", got, ids)
	}
	if got := download(t, shop, strings.TrimSuffix(message.Links[0], ".json")+"x.json"); got != nil {
		t.Errorf("an unknown report holds %v", got)
	}

	// A time outside theirs gives an empty report; a receiver that is not there is remembered.
	made, _ := first["created_at"].(string)
	shop.Poster = failing{}
	if status, _ := ask(t, shop, "POST", "/v1/orders/archived_orders", body(from, made, "https://shop.example/x")); status != 200 {
		t.Errorf("%d", status)
	}
	done = shop.Callbacks()
	if len(done) != 2 || done[1].Err == nil || done[1].Status != 0 {
		t.Fatalf("%+v", done)
	}
	if err := json.Unmarshal(done[1].Body, &message); err != nil {
		t.Fatal(err)
	}
	if got := download(t, shop, message.Links[0]); got == nil || len(got) != 0 {
		t.Errorf("a report of another time holds %v", got)
	}
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no receiver")
}

// download follows a link without a token, as to S3. It is nil if there is no
// such file.
func download(t *testing.T, shop *shoplinetest.Server, link string) (orders []struct {
	ID string `json:"id"`
},
) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: shop.Client().Transport, Timeout: time.Minute}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusNotFound {
		return nil
	}
	if err := json.NewDecoder(answer.Body).Decode(&orders); err != nil {
		t.Fatal(err)
	}
	return orders
}
