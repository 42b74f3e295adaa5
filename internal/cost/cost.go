// Package cost says what a stack has cost in a month, from what AWS measures of it without
// charge and from list prices. It asks nobody:
//
//	bill := cost.Of(usage, prices)
//	fmt.Println(bill.USD, bill.Projected)
//
// A line says whether its quantity was measured, follows from what is there, or is an
// estimate. docs/cost.md explains the prices.
package cost

import (
	"slices"
	"time"
)

// The parts of hikyaku that cost something.
const (
	Tokens = "tokens"
	Relay  = "relay"
	Export = "export"
	Shared = "shared" // what watches and keeps all of them
)

// A Basis says where a line's quantity is from.
type Basis string

// The bases.
const (
	Measured  Basis = "measured"  // CloudWatch has counted it
	Fixed     Basis = "fixed"     // it follows from what is there
	Estimated Basis = "estimated" // it is not counted; the line's note says how it was found
)

// A Usage is what a stack has used in a time of one month.
type Usage struct {
	From, Until time.Time // both in one month, in UTC
	Functions   []Function
	Requests    float64 // of the API before the webhooks
	Users, Dead Queue   // of messages
	Reconciles  float64 // executions of its state machine
	Exports     float64 // executions of its state machine
	Stored      float64 // bytes in the bucket, on average
	Alarms      int     // metrics on which there are alarms
	Composites  int
	Dashboards  int
	Secrets     int
	Providers   int // that are connected
	Datasets    int
	NAT         bool // it has a gateway of its own
}

// A Function is what one of the stack's functions has used.
type Function struct {
	Part         string
	Invocations  float64
	Milliseconds float64
	Megabytes    float64
	LogBytes     float64
}

// A Queue is what CloudWatch counts of a queue. One call may carry up to ten messages, so
// that there are at most as many calls.
type Queue struct{ Sent, Received, Deleted, Empty float64 }

func (q Queue) calls() float64 { return q.Sent + q.Received + q.Deleted + q.Empty }

// A Line is one thing that costs.
type Line struct {
	Part     string  `json:"part"`
	Service  string  `json:"service"`
	Unit     string  `json:"unit"`
	Quantity float64 `json:"quantity"`
	USD      float64 `json:"usd"`
	Basis    Basis   `json:"basis"`
	Note     string  `json:"note,omitempty"`
}

// A Bill is what a stack has cost. Amounts are US dollars at list prices, without what is
// free and without taxes.
type Bill struct {
	From      time.Time          `json:"from"`
	Until     time.Time          `json:"until"`
	Prices    string             `json:"prices"` // the region of the list
	Lines     []Line             `json:"lines"`  // those of nothing are left out
	Parts     map[string]float64 `json:"parts"`
	Services  map[string]float64 `json:"services"`
	USD       float64            `json:"usd"`
	Estimated float64            `json:"estimated"` // of it, by lines that are estimates
	Projected float64            `json:"projected"` // of the whole month, if it goes on so
}

// What is taken where nothing is counted: see docs/cost.md.
const (
	writesOfAJob      = 2
	readsOfAJob       = 1
	writesOfAnExport  = 20
	transitionsWanted = 3
	transitionsExport = 10 // of a dataset, with its first call
	transitionsCall   = 4
	callsOfSecrets    = 12 // an hour, of each warm process and secret
)

// Of makes the bill.
func Of(u Usage, p Prices) Bill {
	b := Bill{From: u.From, Until: u.Until, Prices: p.Region, Lines: []Line{}, Parts: map[string]float64{}, Services: map[string]float64{}}
	share := u.share()
	exportCalls := 0.0
	for _, f := range u.Functions {
		gigabytes := f.Milliseconds / 1000 * f.Megabytes / 1024
		b.add(Line{f.Part, "lambda", "invocations", f.Invocations, f.Invocations * p.Invocation, Measured, ""})
		b.add(Line{f.Part, "lambda", "GB-seconds", gigabytes, gigabytes * p.GBSecond, Measured, ""})
		b.add(Line{f.Part, "logs", "bytes", f.LogBytes, f.LogBytes * p.LogByte, Measured, ""})
		if f.Part == Export {
			exportCalls += f.Invocations
		}
	}
	calls := u.Users.calls() + u.Dead.calls()
	jobs := u.Users.Deleted
	wanted, runs := u.Reconciles*transitionsWanted, u.Exports*transitionsExport*float64(u.Datasets)+max(0, exportCalls-u.Exports*float64(u.Datasets))*transitionsCall
	for _, l := range []Line{
		{Relay, "apigateway", "requests", u.Requests, u.Requests * p.HTTPRequest, Measured, ""},
		{Relay, "sqs", "requests", calls, calls * p.Queue, Measured, "messages are counted, of which one request may carry up to ten: at most so much"},
		{Relay, "s3", "writes", jobs * writesOfAJob, jobs * writesOfAJob * p.Write, Estimated, "two for each message that was worked off: at most so much"},
		{Relay, "s3", "reads", jobs * readsOfAJob, jobs * readsOfAJob * p.Read, Estimated, "one for each message that was worked off"},
		{Relay, "states", "transitions", wanted, wanted * p.Transition, Estimated, "three for each execution"},
		{Export, "states", "transitions", runs, runs * p.Transition, Estimated, "ten for each dataset of an execution, and four for each further call"},
		{Export, "s3", "writes", exportCalls * writesOfAnExport, exportCalls * writesOfAnExport * p.Write, Estimated, "twenty for each call"},
		{Export, "s3", "byte-months", u.Stored * share, u.Stored * share * p.Monthly.Byte, Measured, "everything in the bucket"},
		{Shared, "secretsmanager", "secret-months", float64(u.Secrets) * share, float64(u.Secrets) * share * p.Monthly.Secret, Fixed, ""},
		u.secretCalls(p),
		{Shared, "cloudwatch", "alarm-months", float64(u.Alarms) * share, float64(u.Alarms) * share * p.Monthly.Alarm, Fixed, ""},
		{Shared, "cloudwatch", "composite-alarm-months", float64(u.Composites) * share, float64(u.Composites) * share * p.Monthly.CompositeAlarm, Fixed, ""},
		{Shared, "cloudwatch", "dashboard-months", float64(u.Dashboards) * share, float64(u.Dashboards) * share * p.Monthly.Dashboard, Fixed, "an account's first three are free"},
		u.metrics(p),
		{Shared, "vpc", "NAT-gateway-months", gateways(u.NAT) * share, gateways(u.NAT) * share * p.Monthly.Gateway, Fixed, "without the bytes that pass it"},
	} {
		b.add(l)
	}
	if share > 0 {
		b.Projected = b.USD / share
	}
	return b
}

func gateways(nat bool) float64 {
	if nat {
		return 1
	}
	return 0
}

// share is how much of the month has passed.
func (u Usage) share() float64 {
	begins := time.Date(u.From.Year(), u.From.Month(), 1, 0, 0, 0, 0, time.UTC)
	return u.Until.Sub(u.From).Seconds() / begins.AddDate(0, 1, 0).Sub(begins).Seconds()
}

// metrics are those of hikyaku's own, as docs/cost.md counts them.
func (u Usage) metrics(p Prices) Line {
	const hoursAMonth, nights = 730, 30
	n := (float64(4*u.Providers+8) + float64(9*u.Datasets+12)*nights/hoursAMonth) * u.share()
	return Line{Shared, "cloudwatch", "metric-months", n, n * p.Monthly.Metric, Estimated, "by the number of providers and datasets: a metric is paid by the hour in which it occurs"}
}

// secretCalls are the reads of secrets.
func (u Usage) secretCalls(p Prices) Line {
	n := u.Until.Sub(u.From).Hours() * callsOfSecrets * float64(u.Providers+1)
	return Line{Shared, "secretsmanager", "calls", n, n * p.Secret, Estimated, "twelve an hour for each provider, and the webhook's secret"}
}

func (b *Bill) add(l Line) {
	if l.Quantity == 0 {
		return
	}
	same := func(other Line) bool {
		return other.Part == l.Part && other.Service == l.Service && other.Unit == l.Unit && other.Basis == l.Basis
	}
	if i := slices.IndexFunc(b.Lines, same); i >= 0 {
		b.Lines[i].Quantity += l.Quantity
		b.Lines[i].USD += l.USD
	} else {
		b.Lines = append(b.Lines, l)
	}
	b.Parts[l.Part] += l.USD
	b.Services[l.Service] += l.USD
	b.USD += l.USD
	if l.Basis == Estimated {
		b.Estimated += l.USD
	}
}
