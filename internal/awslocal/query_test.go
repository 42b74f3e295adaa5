package awslocal_test

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"

	"hikyaku/internal/awslocal"
	"hikyaku/pkg/providers/sandbox"
)

// query posts a call of the query protocol.
func query(t *testing.T, a *awslocal.AWS, service, form string) (*http.Response, string) {
	t.Helper()
	return do(t, post(t, a.URL+"/", form, "Authorization", signedFor(service), "Content-Type", "application/x-www-form-urlencoded; charset=utf-8"))
}

func TestQueryCallsAreAnsweredInXML(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	answer, body := query(t, a, "sts", "Action=GetCallerIdentity&Version=2011-06-15")
	equal(t, body, answer.StatusCode, http.StatusOK)
	var identity struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
		ARN     string   `xml:"GetCallerIdentityResult>Arn"`
		UserID  string   `xml:"GetCallerIdentityResult>UserId"`
		Account string   `xml:"GetCallerIdentityResult>Account"`
		Request string   `xml:"ResponseMetadata>RequestId"`
	}
	ok(t, body, xml.Unmarshal([]byte(body), &identity))
	equal(t, "arn", identity.ARN, "arn:aws:iam::000000000000:root")
	equal(t, "account", identity.Account+identity.UserID, "000000000000000000000000")
	equal(t, "request id", identity.Request, answer.Header.Get("X-Amzn-Requestid"))
	equal(t, "counted", a.Calls()["sts.GetCallerIdentity"], 1)
}

func TestQueryCallsAreRefusedInXML(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	for _, c := range []struct{ service, form, code, named string }{
		{"sts", "Action=AssumeRole&Version=2011-06-15", "UnknownOperationException", "sts AssumeRole (query protocol)"},
		{"sts", "Action=GetCallerIdentity&Other=1", "ValidationError", "Other of sts GetCallerIdentity"},
		{"cloudformation", "Action=DescribeStacks&StackName=nosuch", "ValidationError", "Stack with id nosuch does not exist"},
		{"cloudformation", "Action=ListStackResources", "ValidationError", "stackName"},
		{"cloudformation", "Action=DescribeStacks&NextToken=x", "ValidationError", "NextToken"},
		{"cloudformation", "Action=CreateStack&StackName=s", "UnknownOperationException", "cloudformation CreateStack (query protocol)"},
		{"iam", "Action=ListUsers", "UnknownOperationException", "iam ListUsers (query protocol)"},
		{"sqs", "Action=ListQueues", "UnknownOperationException", "sqs ListQueues (query protocol)"},
	} {
		answer, body := query(t, a, c.service, c.form)
		equal(t, body, answer.StatusCode, http.StatusBadRequest)
		equal(t, "type", answer.Header.Get("Content-Type"), "application/xml")
		var refusal struct {
			XMLName xml.Name `xml:"ErrorResponse"`
			Type    string   `xml:"Error>Type"`
			Code    string   `xml:"Error>Code"`
			Message string   `xml:"Error>Message"`
		}
		ok(t, body, xml.Unmarshal([]byte(body), &refusal))
		equal(t, body, refusal.Type+" "+refusal.Code, "Sender "+c.code)
		equal(t, body, strings.Contains(refusal.Message, c.named), true)
	}
	_, body := query(t, a, "ec2", "Action=DescribeInstances")
	var refusal struct {
		XMLName xml.Name `xml:"Response"`
		Message string   `xml:"Errors>Error>Message"`
	}
	ok(t, body, xml.Unmarshal([]byte(body), &refusal))
	equal(t, body, strings.Contains(refusal.Message, "ec2 DescribeInstances"), true)
	_, body = do(t, post(t, a.URL+"/2013-04-01/hostedzone", "", "Authorization", signedFor("route53")))
	equal(t, body, strings.Contains(body, "<ErrorResponse>") && strings.Contains(body, "route53 POST /2013-04-01/hostedzone"), true)
	a.Inject(sandbox.Fault{Route: "sts", Kind: sandbox.ServerFail})
	failed, body := query(t, a, "sts", "Action=GetCallerIdentity")
	equal(t, body, failed.StatusCode, http.StatusInternalServerError)
	equal(t, body, strings.Contains(body, "<Type>Receiver</Type>"), true)
}
