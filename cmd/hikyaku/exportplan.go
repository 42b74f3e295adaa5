package main

import (
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/cost"
	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/pagination"
)

// An estimate is what a run of a number of rows takes.
type estimate struct {
	Dataset     string            `json:"dataset"`
	Run         string            `json:"run"`
	Window      *export.Window    `json:"window,omitempty"`
	Paging      pagination.Paging `json:"paging"`
	PageSize    int               `json:"page_size"`
	PerSecond   float64           `json:"requests_per_second"`
	Rows        int               `json:"rows"` // the basis of what follows
	Pages       int               `json:"pages"`
	Requests    int               `json:"requests"`
	Seconds     float64           `json:"seconds"`
	Parts       int               `json:"parts"`
	Invocations int               `json:"invocations"`
	USD         float64           `json:"usd"`
}

// What the template sets, and what a run takes.
const (
	priced      = "us-east-1" // the region of the prices
	memoryGB    = 0.125
	lambdaMost  = 15 * time.Minute
	transitions = 4                // of the loop, for each invocation
	keptEvery   = 90 * time.Second // the lease is extended
	onceWritten = 8                // lease, plan, end, manifest, watermark, latest, symlink, done
	typicalRow  = 1000             // bytes, where no run tells
)

// estimateOf calculates from the number of rows and their bytes.
func estimateOf(rows int, rowBytes float64, p exportfn.Pace, unordered bool) estimate {
	e := estimate{Paging: p.Paging, PageSize: p.PageSize, PerSecond: p.PerSecond, Rows: rows}
	e.Pages = ceil(float64(rows) / float64(p.PageSize))
	switch p.Paging {
	case pagination.ByOffset, pagination.ByCursor: // a row of overlap, and the page at the end that holds no other
		e.Requests = ceil(float64(rows)/float64(max(1, p.PageSize-1))) + 1
	case pagination.ByPage:
		e.Requests = ceil(1.12*float64(e.Pages)) + 1
	case pagination.ByFixedPage:
		e.Requests = 2*e.Pages + 2
	default:
		e.Pages, e.Requests = 1, 1
	}
	if unordered { // the second look
		e.Requests *= 2
	}
	e.Seconds = float64(e.Requests) / p.PerSecond
	e.Parts = ceil(float64(rows) * rowBytes / export.MaxPartBytes)
	e.Invocations = max(1, ceil(e.Seconds/(lambdaMost-p.StopAhead).Seconds()))
	writes := float64(e.Parts+onceWritten+2*e.Invocations) + e.Seconds/keptEvery.Seconds()
	reads := float64((e.Parts + onceWritten) * (e.Invocations + 1))
	usd, _ := cost.In(priced)
	e.USD = e.Seconds*memoryGB*usd.GBSecond + float64(e.Invocations)*(usd.Invocation+transitions*usd.Transition) + writes*usd.Write + reads*usd.Read
	return e
}

func ceil(f float64) int { return int(math.Ceil(f)) }

func newExportPlan() *cobra.Command {
	var f exportFlags
	var named runFlags
	rows := 0
	c := &cobra.Command{
		Use:   "plan DATASET",
		Short: "Say what a run would ask for, how long it would take and what it would cost",
		Long: "Reads the newest published run and the token, and asks the provider nothing. The figures are an\n" +
			"estimate for as many rows as the newest run had, or --rows; a first run needs --rows. Costs are list\n" +
			"prices for a function with 128 MB, without a NAT gateway and without the provider's own fees.",
		Example:   "  hikyaku export plan shopline/orders --prefix hikyaku --bucket my-bucket\n  hikyaku export plan yappli/users --rows 1000000 --json",
		ValidArgs: export.DatasetNames(),
		Args:      oneKnown,
		RunE: func(c *cobra.Command, a []string) error {
			direct, d, err := f.open(c, a[0])
			if err != nil {
				return err
			}
			pace, err := direct.Pace(c.Context(), d)
			if err != nil {
				return err
			}
			last, err := direct.Core.Newest(c.Context(), d)
			if err != nil {
				return err
			}
			rowBytes := float64(typicalRow)
			if last != nil && last.Rows > 0 {
				rowBytes = float64(last.Bytes) / float64(last.Rows)
			}
			if rows == 0 && last != nil {
				rows = last.Rows
			} else if rows == 0 {
				return &usageError{locale.Errorf("no run has been published yet, so the number of rows is not known; give --rows")}
			}
			run, err := named.choose(c.Context(), direct.Core, d, time.Now())
			if err != nil {
				return err
			}
			answer, err := direct.Core.Plan(c.Context(), run)
			if err != nil {
				return err
			}
			e := estimateOf(rows, rowBytes, pace, d.Unordered)
			e.Dataset, e.Run, e.Window = a[0], run.ID, answer.Window
			return f.print(c, e, e.write)
		},
	}
	f.add(c)
	named.add(c)
	c.Flags().IntVar(&rows, "rows", 0, "rows to plan for (default: as many as the newest published run has)")
	return c
}

func (e estimate) write(out io.Writer) error {
	l := languageOf(out)
	var rows [][2]string
	line := func(name, format string, args ...any) {
		rows = append(rows, [2]string{l.Text(name), l.Sprintf(format, args...)})
	}
	line("run", "%s of %s", e.Run, e.Dataset)
	if w := e.Window; w != nil && !w.To.IsZero() {
		from := locale.T("the beginning")
		if !w.From.IsZero() {
			from = locale.M("%s", w.From.Format(time.RFC3339))
		}
		line("window", "%s to %s", from, w.To.Format(time.RFC3339))
	}
	line("rows", "%d", e.Rows)
	line("pages", "%d of %d rows, by %s", e.Pages, e.PageSize, e.Paging)
	line("requests", "%d at %.2g a second", e.Requests, e.PerSecond)
	line("time", "%s", spell(time.Duration(e.Seconds*float64(time.Second))))
	line("parts", "%d", e.Parts)
	line("invocations", "%d", e.Invocations)
	line("cost", "$%.4f", e.USD)
	return writePairs(out, rows)
}
