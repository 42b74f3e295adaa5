package cost_test

import (
	"math"
	"testing"
	"time"

	"hikyaku/internal/cost"
)

var (
	begins = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	tokyo  = cost.PriceList()[0]
)

// half is a stack that has run for half of November.
func half() cost.Usage {
	return cost.Usage{
		From: begins, Until: begins.AddDate(0, 0, 15),
		Functions: []cost.Function{
			{Part: cost.Tokens, Invocations: 1e6},
			{Part: cost.Relay, Invocations: 2e6, Milliseconds: 8e9, Megabytes: 128, LogBytes: 1e9},
			{Part: cost.Relay, Invocations: 1e6},
		},
		Requests: 1e6, Users: cost.Queue{Sent: 1e6, Received: 1e6, Deleted: 1e6, Empty: 1e6}, Dead: cost.Queue{Received: 1e6},
		Stored: 2e9, Alarms: 10, Composites: 1, Dashboards: 1, Secrets: 4, NAT: true,
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	bill := cost.Of(half(), tokyo)
	want := map[string]float64{ // by hand, of the list prices
		"tokens lambda invocations": 0.20, "relay lambda invocations": 0.60, "relay lambda GB-seconds": 13.3334, "relay logs bytes": 0.76,
		"relay apigateway requests": 1.29, "relay sqs requests": 2.50, "relay s3 writes": 9.40, "relay s3 reads": 0.37,
		"export s3 byte-months": 0.025, "shared secretsmanager secret-months": 0.80, "shared cloudwatch alarm-months": 0.50,
		"shared cloudwatch composite-alarm-months": 0.25, "shared cloudwatch dashboard-months": 1.50, "shared vpc NAT-gateway-months": 24.455,
		"shared secretsmanager calls": 0.0216, "shared cloudwatch metric-months": 0.15 * (8 + 12*30./730),
	}
	sum, estimated := 0.0, 0.0
	for _, l := range bill.Lines {
		name := l.Part + " " + l.Service + " " + l.Unit
		if math.Abs(l.USD-want[name]) > 1e-6 || l.Quantity == 0 {
			t.Errorf("%s costs $%.6f of %v, want $%.6f", name, l.USD, l.Quantity, want[name])
		}
		if l.Basis == cost.Estimated {
			estimated += l.USD
			if l.Note == "" {
				t.Errorf("%s does not say how it was estimated", name)
			}
		}
		delete(want, name)
		sum += l.USD
	}
	for name := range want {
		t.Errorf("%s is in no line", name)
	}
	for _, total := range []float64{bill.USD, bill.Projected / 2, sumOf(bill.Parts), sumOf(bill.Services)} {
		if math.Abs(total-sum) > 1e-9 {
			t.Errorf("a total is %v, and the lines sum to %v", total, sum)
		}
	}
	if math.Abs(bill.Estimated-estimated) > 1e-9 {
		t.Errorf("$%v are estimated, want $%v", bill.Estimated, estimated)
	}
}

func sumOf(parts map[string]float64) (sum float64) {
	for _, usd := range parts {
		sum += usd
	}
	return sum
}

// What was not used costs nothing, and a bill of no time projects nothing.
func TestOf_Nothing(t *testing.T) {
	t.Parallel()
	bill := cost.Of(cost.Usage{From: begins, Until: begins}, tokyo)
	if bill.USD != 0 || bill.Projected != 0 || len(bill.Lines) != 0 {
		t.Errorf("%+v", bill)
	}
}

func TestIn(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{"us-east-1": "N. Virginia", "ap-northeast-1": "Tokyo", "eu-central-1": "Tokyo"} {
		if p, known := cost.In(region); p.Region != want || known != (region != "eu-central-1") {
			t.Errorf("%s has the prices of %s, %v", region, p.Region, known)
		}
	}
}
