// Command export is the Lambda function that writes the providers' customers
// and orders to S3 as JSON lines.
package main

import (
	"runtime/debug"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
)

func main() { lambdafn.Main(exportfn.New, collectOften) }

// collectOften: pages are used again, so there is little to collect, and memory
// is what a run is paid for.
func collectOften() { debug.SetGCPercent(20) }
