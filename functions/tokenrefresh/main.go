// Command tokenrefresh is the Lambda function that keeps a working token for
// every provider in Secrets Manager.
package main

import (
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/refreshfn"
)

func main() { lambdafn.Main(refreshfn.New) }
