package repotest_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"hikyaku/internal/cost"
	"hikyaku/internal/prove"
)

// A shop is one of the three whose month docs/cost.md adds up.
type shop struct {
	users        float64 // in SuperSaaS, and as many members
	changes      float64 // a day; as many webhooks change nothing
	orders       float64 // a day; as many of SHOPLINE's customers change
	appointments float64 // in the snapshot
	backOffice   float64 // アシスト店長's orders
	providers    float64
	datasets     float64
	secrets      float64
}

var shops = []shop{
	{users: 500, changes: 20, orders: 10, appointments: 2_000, providers: 3, datasets: 5, secrets: 8},
	{users: 20_000, changes: 500, orders: 200, appointments: 60_000, backOffice: 50_000, providers: 4, datasets: 6, secrets: 11},
	{users: 300_000, changes: 10_000, orders: 3_000, appointments: 1_000_000, backOffice: 1_000_000, providers: 5, datasets: 6, secrets: 13},
}

// What the months assume, as the page says it.
const (
	days         = 30
	hoursAMonth  = 730
	looks        = 12 * 24 * days // of tokenrefresh at each provider
	ticks        = 60 * 24 * days
	watches      = 12 * 24 * days // looks at the pauses
	wanted       = 6 * 24 * days  // executions that ask whether a reconcile is wanted
	allProviders = 5
	bytesOfARow  = 200  // compressed; assumed
	bytesOfALook = 1100 // in the log
	smallestGB   = 0.125
	backOffices  = 60 // seconds for アシスト店長's one answer; assumed
)

// A load is what the nightly work of a shop takes.
type load struct{ comparing, exporting, rows float64 } // seconds, seconds, rows

// night reads rates and shares as the template sets them.
func (s shop) night(template prove.Template) load {
	rate := func(provider, function string) float64 {
		return number(template, provider+"Rate") * number(template, function+provider+"Share")
	}
	const members, users = 49, 249 // new rows a page
	l := load{
		comparing: s.users/999/rate("SuperSaaS", "Reconcile") + s.users/members/rate("Yappli", "Reconcile"),
		exporting: s.users/members/rate("Yappli", "Export") + 2*(s.users+s.appointments)/users/rate("SuperSaaS", "Export") +
			2*s.orders/members/rate("Shopline", "Export"),
		rows: 2*s.users + s.appointments + 2*s.orders + s.backOffice,
	}
	if s.backOffice > 0 {
		l.exporting += backOffices
	}
	return l
}

func number(template prove.Template, parameter string) float64 {
	n, _ := strconv.ParseFloat(fmt.Sprint(template.At("Parameters", parameter, "Default")), 64)
	return n
}

// month adds up what a shop pays. names are the lines of the page, in its order; the
// last two are paid only if they are asked for, and are in no sum.
func (s shop) month(template prove.Template, p cost.Prices, changed, unchanged float64) (names []string, usd map[string]float64) {
	night, m := s.night(template), p.Monthly
	reconcile, _ := strconv.ParseFloat(fmt.Sprint(template.At("Resources", "WebhookRelayReconcileFunction", "Properties", "MemorySize")), 64)
	comparingGB, exportingGB := reconcile/1024, number(template, "ExportMemory")/1024
	secretReads := looks*(allProviders+s.providers) + 35_000
	usd = map[string]float64{}
	for _, line := range []struct {
		name string
		usd  float64
	}{
		{"Webhooks that change a member", s.changes * days * changed},
		{"Webhooks that change nothing", s.changes * days * unchanged},
		{"Empty queue", 650_000 * p.Queue},
		{"Reconcile, each night", days * (night.comparing*comparingGB*p.GBSecond + s.users*p.Read + 2*s.users/1000*p.Write)},
		{"Export, each night", days * (night.exporting*exportingGB*p.GBSecond + 20*s.datasets*p.Write)},
		{"Step Functions", p.Transition * (3*wanted + days*(10+10*s.datasets+4*night.exporting/880+4*night.comparing/590))},
		{"Tokens and their readers", (ticks+watches)*p.Invocation + ((ticks+watches)*0.01+looks*0.2)*smallestGB*p.GBSecond + watches*p.Read + wanted*(p.Invocation+0.2*comparingGB*p.GBSecond) +
			secretReads*p.Secret + looks*s.providers*p.Read},
		{"Secrets", s.secrets * m.Secret},
		{"Metrics", m.Metric * (4*s.providers + 8 + (9*s.datasets+12)*days/hoursAMonth)},
		{"Alarms", watched(template)*m.Alarm + m.CompositeAlarm},
		{"Dashboard", m.Dashboard},
		{"Logs beside the webhooks'", looks * s.providers * bytesOfALook * p.LogByte},
		{"Exports of a year, kept", 365 * night.rows * bytesOfARow * m.Byte},
	} {
		names, usd[line.name] = append(names, line.name), line.usd
		usd["**A month**"] += line.usd
	}
	requests := days * (4*s.changes + s.users)
	usd["`EgressMode=nat`"] = m.Gateway
	usd["`KmsKeyArn`, at most"] = m.Key + (secretReads+requests)*m.KeyCall
	return append(names, "**A month**", "`EgressMode=nat`", "`KmsKeyArn`, at most"), usd
}

// watched are the metrics on which alarms are, each as often as it is on one.
func watched(template prove.Template) (metrics float64) {
	for _, alarm := range template.Resources("AWS::CloudWatch::Alarm") {
		metrics += max(1, float64(strings.Count(fmt.Sprint(template.At("Resources", alarm, "Properties", "Metrics")), "MetricStat:")))
	}
	return metrics
}

var (
	relayPrice = regexp.MustCompile(`(?m)^\| (Each changes a user|Nothing changes) \(.*\) \|[^|]*\| \**\$([0-9.]+)\** \|$`)
	shopRow    = regexp.MustCompile(`(?m)^\| ([^|]+) \| (\$[0-9.]+) \| (\$[0-9.]+) \| (\$[0-9.]+) \|`)
)

// The months of docs/cost.md are what its own figures, the list prices of Tokyo and
// the template's settings add up to.
func TestCost_MonthsOfThreeShops(t *testing.T) {
	t.Parallel()
	page, template := string(readFile(t, "docs/cost.md")), prove.ReadTemplate(t, root)
	relay := map[string]float64{}
	for _, match := range relayPrice.FindAllStringSubmatch(page, -1) {
		usd, _ := strconv.ParseFloat(match[2], 64)
		relay[match[1]] = usd / 1e6
	}
	var names []string
	want := map[string][]string{}
	for _, s := range shops {
		lines, usd := s.month(template, cost.PriceList()[0], relay["Each changes a user"], relay["Nothing changes"])
		names = lines
		for _, name := range lines {
			want[name] = append(want[name], fmt.Sprintf("$%.2f", usd[name]))
		}
	}
	found := map[string]string{}
	for _, match := range shopRow.FindAllStringSubmatch(page, -1) {
		found[match[1]] = strings.ReplaceAll(strings.Join(match[2:], " | "), "*", "")
	}
	for _, name := range names {
		if row := strings.Join(want[name], " | "); found[name] != row {
			t.Errorf("| %s | %s |, and the page says %q", name, row, found[name])
		}
	}
	if len(relay) != 2 || len(found) != len(names) {
		t.Errorf("%d prices of the relay and %d lines were found, want 2 and %d", len(relay), len(found), len(names))
	}
}
