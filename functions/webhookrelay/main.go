// Command webhookrelay is the Lambda function that turns SuperSaaS webhooks
// into Yappli CRM members. HIKYAKU_ROLE says which of its three roles it has.
package main

import (
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/relayfn"
)

func main() { lambdafn.Main(relayfn.New) }
