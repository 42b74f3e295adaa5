package console

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// costPage says what the stack has cost this month.
func (s *Server) costPage() page {
	return page{Name: "cost", Path: "/cost", Under: "overview", load: s.loadCost}
}

// A bill is what 'hikyaku cost' prints.
type bill struct {
	Month     string
	Region    string
	Prices    string
	From      time.Time
	Until     time.Time
	Lines     []billLine
	Parts     map[string]float64
	USD       float64
	Estimated float64
	Projected float64
}

// A billLine is one thing that is paid for.
type billLine struct {
	Part, Service, Unit, Basis, Note string
	Quantity, USD                    float64
}

// A costPart is what one part of the stack has cost.
type costPart struct {
	Name string
	USD  float64
	Of   float64 // the whole
}

// Percent is its share of the whole.
func (p costPart) Percent() int {
	if p.Of == 0 {
		return 0
	}
	return int(100 * p.USD / p.Of)
}

// ByPart are the parts, the dearest first.
func (b bill) ByPart() []costPart {
	parts := make([]costPart, 0, len(b.Parts))
	for _, name := range slices.Sorted(maps.Keys(b.Parts)) {
		parts = append(parts, costPart{name, b.Parts[name], b.USD})
	}
	slices.SortStableFunc(parts, func(a, b costPart) int {
		switch {
		case a.USD > b.USD:
			return -1
		case a.USD < b.USD:
			return 1
		}
		return 0
	})
	return parts
}

// costFresh is how long a bill is shown again: making one asks CloudWatch for each measure.
const costFresh = 15 * time.Minute

func (s *Server) loadCost(ctx context.Context, _ *http.Request) (any, error) {
	fresh := costFresh
	if s.options.Dev != nil {
		fresh = s.options.Fresh
	}
	var b bill
	err := s.reader.readWithin(ctx, fresh, &b, "cost")
	return b, err
}

var monthName = regexp.MustCompile(`^20[0-9]{2}-(0[1-9]|1[0-2])$`)

func (s *Server) costActions() []action {
	return []action{{name: "cost", page: "cost", reads: true, shape: decoded[bill], command: func(f url.Values) ([]string, error) {
		month := f.Get("month")
		if !monthName.MatchString(month) {
			return nil, saying("fault.month")
		}
		return []string{"cost", "--month", month}, nil
	}}}
}
