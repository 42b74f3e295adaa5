package cost

// Prices are the list prices of an AWS region in US dollars for each single
// request, second or byte: of arm64, of the first tier, without free ones.
type Prices struct {
	Region      string
	HTTPRequest float64 // API Gateway, HTTP API, up to 512 KB
	Invocation  float64 // Lambda
	GBSecond    float64 // Lambda, arm64
	Queue       float64 // SQS, FIFO
	Write, Read float64 // S3 Standard
	LogByte     float64 // CloudWatch Logs, taken in
	Transition  float64 // Step Functions
	Secret      float64 // Secrets Manager, a call of its API
	Monthly     Monthly
}

// Monthly are the list prices of what is paid for each month that it exists.
type Monthly struct {
	Secret                   float64
	Metric, Alarm, Dashboard float64 // CloudWatch; an alarm on one metric
	CompositeAlarm           float64
	Byte                     float64 // S3 Standard
	Key, KeyCall             float64 // KMS; KeyCall is a single call
	Gateway                  float64 // a NAT gateway and its address, without its bytes
}

const (
	million  = 1e6
	gigabyte = 1e9
)

// PriceList returns the regions that the cost models count with; the dearer one
// decides. Of November 2026, as the official price pages are known to have them
// (unverified).
func PriceList() []Prices {
	return []Prices{
		{
			Region: "Tokyo", HTTPRequest: 1.29 / million, Invocation: 0.20 / million, GBSecond: 0.0000133334, Queue: 0.50 / million,
			Write: 4.70 / million, Read: 0.37 / million, LogByte: 0.76 / gigabyte, Transition: 25 / million, Secret: 5 / million,
			Monthly: monthly(0.025, 0.062),
		},
		{
			Region: "N. Virginia", HTTPRequest: 1.00 / million, Invocation: 0.20 / million, GBSecond: 0.0000133334, Queue: 0.50 / million,
			Write: 5.00 / million, Read: 0.40 / million, LogByte: 0.50 / gigabyte, Transition: 25 / million, Secret: 5 / million,
			Monthly: monthly(0.023, 0.045),
		},
	}
}

// In is the price list of an AWS region such as ap-northeast-1; of one that is not listed,
// the dearest is taken, and known is false.
func In(region string) (p Prices, known bool) {
	list := PriceList()
	for i, name := range []string{"ap-northeast-1", "us-east-1"} {
		if name == region {
			return list[i], true
		}
	}
	return list[0], false
}

// monthly are the prices of a region in which a gigabyte in S3 and an hour of a NAT
// gateway cost so much; the others are the same in both.
func monthly(stored, gateway float64) Monthly {
	const hours, address = 730, 0.005
	return Monthly{
		Secret: 0.40, Metric: 0.30, Alarm: 0.10, Dashboard: 3, CompositeAlarm: 0.50, Byte: stored / gigabyte,
		Key: 1, KeyCall: 3 / million, Gateway: hours * (gateway + address),
	}
}
