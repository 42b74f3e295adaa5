package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/console"
	"hikyaku/internal/cost"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// dearestHour is what an hour of the console of a deployed stack may cost, in US dollars.
const dearestHour = 0.05

// TestConsole_CostsLittleAnHour leaves a tab open on each page of a deployed stack's console,
// and counts at the door of AWS what is asked meanwhile.
func TestConsole_CostsLittleAnHour(t *testing.T) {
	prove.Heavy(t)
	p := newPatient(t)
	f := consoleFlags{}
	f.stack.Stack = localstack.Name
	c := &cobra.Command{}
	c.SetContext(t.Context())
	c.SetErr(io.Discard)
	options, err := f.options(c)
	p.ok(err)
	var passed atomic.Int64
	begun := time.Now()
	options.Now = func() time.Time { return begun.Add(time.Duration(passed.Load())) }
	var pages []string
	// measure is what an hour costs, counted over some looks at all pages.
	measure := func(fresh time.Duration, looks int) (dollars float64, calls map[string]int) {
		options.Fresh = fresh
		served, err := console.Start(t.Context(), "127.0.0.1:0", options)
		p.ok(err)
		get := entered(t, served)
		pages = pagesOf(t, get)
		passed.Add(int64(time.Hour)) // nothing is known any more
		before := p.stack.AWS.Calls()
		for range looks {
			passed.Add(int64(fresh))
			for _, page := range pages {
				get(page)
			}
		}
		calls = since(before, p.stack.AWS.Calls())
		return priceOf(t, calls) * time.Hour.Seconds() / (fresh.Seconds() * float64(looks)), calls
	}
	if guard, _ := measure(2*time.Second, 1); guard <= dearestHour {
		t.Errorf("asked every two seconds, as a development stack is, an hour would cost only $%.4f: the bar cannot be missed", guard)
	}
	dollars, calls := measure(consoleFresh, 5) // in which doctor is asked once
	prove.Figure(t, dollars <= dearestHour && calls["cloudwatch.GetMetricStatistics"] > 0, "an hour of the console of a deployed stack, a tab on each page", "$0.05",
		"$%.4f (%d pages, %d calls in five minutes)", dollars, len(pages), total(calls))
	if testing.Verbose() {
		for _, name := range slices.Sorted(maps.Keys(calls)) {
			t.Logf("%s %d", name, calls[name])
		}
	}
}

// entered returns what reads a page as a browser that has entered.
func entered(t *testing.T, served *console.Server) func(path string) string {
	t.Helper()
	link, err := served.Link()
	if err != nil {
		t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	get := func(address string) string {
		answer, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s answered %d, %v: %s", address, answer.StatusCode, err, body)
		}
		return string(body)
	}
	get(link)
	return func(path string) string { return get(served.URL + path) }
}

// pagesOf are the pages that need no id.
func pagesOf(t *testing.T, get func(string) string) (pages []string) {
	t.Helper()
	var routes struct{ Pages []string }
	if err := json.Unmarshal([]byte(get("/routes.json")), &routes); err != nil {
		t.Fatal(err)
	}
	for _, page := range routes.Pages {
		if !strings.Contains(page, "{") {
			pages = append(pages, page)
		}
	}
	if len(pages) < 5 {
		t.Fatalf("only the pages %v", pages)
	}
	return pages
}

func since(before, after map[string]int) map[string]int {
	calls := map[string]int{}
	for name, n := range after {
		if n > before[name] {
			calls[name] = n - before[name]
		}
	}
	return calls
}

func total(calls map[string]int) (n int) {
	for _, count := range calls {
		n += count
	}
	return n
}

// priceOf is the list price of calls in the dearer region. What AWS asks nothing for is
// named here, so that a call of another service fails the test.
func priceOf(t *testing.T, calls map[string]int) (dollars float64) {
	t.Helper()
	const statistics = 0.01 / 1000 // a request of CloudWatch's API
	for _, prices := range cost.PriceList() {
		sum := 0.0
		for name, n := range calls {
			service, operation, _ := strings.Cut(name, ".")
			price := 0.0
			switch service {
			case "s3":
				price = prices.Write // of lists, too
				if strings.HasPrefix(operation, "Get") || strings.HasPrefix(operation, "Head") {
					price = prices.Read
				}
			case "secretsmanager":
				price = prices.Secret
			case "sqs":
				price = prices.Queue
			case "cloudwatch":
				price = statistics
			case "lambda":
				if operation == "Invoke" {
					price = prices.Invocation + prices.GBSecond/8 // a second of 128 MB
				}
			case "cloudformation", "scheduler", "states", "sts", "sns", "logs":
			default:
				t.Errorf("nobody has said what %s costs", name)
			}
			sum += price * float64(n)
		}
		dollars = max(dollars, sum)
	}
	return dollars
}
