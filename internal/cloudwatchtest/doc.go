// Package cloudwatchtest is the part of CloudWatch that the stack's alarms need: log
// lines as Lambda reads them, the metrics in them, and alarms that are read from
// template.yaml and evaluated by the rules of CloudWatch's user guide, at any time.
// Only tests import it.
//
//	account := cloudwatchtest.NewAccount(2)
//	account.Deploy(t, template, "shop")
//	_, _ = account.Log("DEBUG").Write(line) // what a function writes
//	account.Evaluate(now)                   // at the end of each minute
//	account.State("shop-QueueAgeAlarm")
//
// What the template has and this package does not know fails the test.
package cloudwatchtest
