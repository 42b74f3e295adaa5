package awslocal_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
)

// What is shown of alarms, measurements and topics is what was told, and no more.
func TestToldIsShown(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	a.Told.PutAlarm(awslocal.Alarm{Name: "shop-A", State: "ALARM", Actions: []string{"arn:x"}})
	a.Told.PutAlarm(awslocal.Alarm{Name: "shop-B", Composite: true, Muted: true})
	a.Told.PutAlarm(awslocal.Alarm{Name: "other-A"})
	topic := a.Told.SetTopic("people", awslocal.Subscription{Protocol: "email", Endpoint: "ops@shop.example", Pending: true})
	at := time.Date(2026, 11, 30, 12, 7, 0, 0, time.UTC)
	for _, value := range []float64{3, 5} {
		a.Told.Measure(awslocal.Point{Namespace: "N", Metric: "M", Dimensions: map[string]string{"d": "1"}, At: at, Value: value})
	}
	a.Told.Measure(awslocal.Point{Namespace: "N", Metric: "M", At: at, Value: 100}) // of no dimension
	const statistics = "Action=GetMetricStatistics&Namespace=N&MetricName=M&StartTime=2026-11-30T12:00:00Z&EndTime=2026-11-30T13:00:00Z&Dimensions.member.1.Name=d&Dimensions.member.1.Value=1"
	for _, c := range []struct {
		service, form string
		status        int
		has, hasNot   string
	}{
		{"monitoring", "Action=DescribeAlarms&AlarmNamePrefix=shop-", http.StatusOK, "<AlarmName>shop-A</AlarmName>", "shop-B"},
		{"monitoring", "Action=DescribeAlarms&AlarmNamePrefix=shop-", http.StatusOK, "<ActionsEnabled>true</ActionsEnabled><AlarmActions><member>arn:x</member></AlarmActions><StateValue>ALARM</StateValue>", "other"},
		{"monitoring", "Action=DescribeAlarms&AlarmTypes.member.1=CompositeAlarm", http.StatusOK, "<ActionsEnabled>false</ActionsEnabled>", "shop-A"},
		{"monitoring", statistics + "&Period=300&Statistics.member.1=Sum", http.StatusOK, "<Timestamp>2026-11-30T12:05:00Z</Timestamp><Sum>8</Sum>", "Maximum"},
		{"monitoring", statistics + "&Period=300&Statistics.member.1=Maximum", http.StatusOK, "<Maximum>5</Maximum>", "Sum"},
		{"monitoring", statistics + "&Period=300&Statistics.member.1=Average", http.StatusBadRequest, "Sum and Maximum, not Average", "<Sum>"},
		{"monitoring", statistics + "&Period=50&Statistics.member.1=Sum", http.StatusBadRequest, "multiple of 60", "<Sum>"},
		{"monitoring", "Action=PutMetricAlarm", http.StatusBadRequest, "monitoring PutMetricAlarm (query protocol) is not served", "OK"},
		{"sns", "Action=ListSubscriptionsByTopic&TopicArn=" + topic, http.StatusOK, "<SubscriptionArn>PendingConfirmation</SubscriptionArn>", "arn:aws:sns:ap-northeast-1:000000000000:people:"},
		{"sns", "Action=ListSubscriptionsByTopic&TopicArn=arn:aws:sns:ap-northeast-1:000000000000:nosuch", http.StatusNotFound, "Topic does not exist", "member"},
		{"sns", "Action=Publish&TopicArn=" + topic, http.StatusBadRequest, "Empty message", "MessageId"},
		{"sns", "Action=Publish&Subject=S&Message=hello&TopicArn=" + topic, http.StatusOK, "<MessageId>", "Error"},
		{"sns", "Action=Publish&Message=hello&PhoneNumber=1&TopicArn=" + topic, http.StatusBadRequest, "PhoneNumber of sns Publish", "MessageId"},
	} {
		answer, body := query(t, a, c.service, c.form)
		if answer.StatusCode != c.status || !strings.Contains(body, c.has) || strings.Contains(body, c.hasNot) {
			t.Errorf("%s: %d %s", c.form, answer.StatusCode, body)
		}
	}
	if got := a.Told.Published(); len(got) != 1 || got[0] != (awslocal.Published{Topic: topic, Subject: "S", Message: "hello"}) {
		t.Errorf("published are %+v", got)
	}
}

// Executions are the newest first; the account's limit is a new account's until it is told.
func TestToldExecutionsAndLimits(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	machine := a.Told.SetExecutions("Loop", awslocal.Execution{Name: "new", Status: "RUNNING", Started: at}, awslocal.Execution{Name: "old", Status: "FAILED", Started: at, Ended: at})
	list := func(body string) string {
		_, text := do(t, post(t, a.URL+"/", body, "Authorization", signedFor("states"), "X-Amz-Target", "AWSStepFunctions.ListExecutions"))
		return text
	}
	for body, want := range map[string]string{
		`{"stateMachineArn":"` + machine + `","maxResults":1}`:            `"name":"new","status":"RUNNING","startDate":1796040000}]`,
		`{"stateMachineArn":"` + machine + `","statusFilter":"FAILED"}`:   `"name":"old","status":"FAILED","startDate":1796040000,"stopDate":1796040000}]`,
		`{"stateMachineArn":"` + machine + `","statusFilter":"ABORTED"}`:  `"executions":[]`,
		`{"stateMachineArn":"arn:aws:states:x:0:stateMachine:nosuch"}`:    "StateMachineDoesNotExist",
		`{"stateMachineArn":"` + machine + `","mapRunArn":"arn:aws:map"}`: "does not serve this parameter",
	} {
		if got := list(body); !strings.Contains(got, want) {
			t.Errorf("%s: %s", body, got)
		}
	}
	account := func() string {
		_, text := do(t, request(t, http.MethodGet, a.URL+"/2016-08-19/account-settings"))
		return text
	}
	equal(t, "limit", account(), `{"AccountLimit":{"ConcurrentExecutions":1000}}`)
	a.Told.SetAccountLimit(10)
	equal(t, "limit", account(), `{"AccountLimit":{"ConcurrentExecutions":10}}`)
}
