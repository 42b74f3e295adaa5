package awslocal_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"hikyaku/internal/awslocal"
)

func TestFunctionsAreListed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	a := start(t, awslocal.Options{Now: func() time.Time { return at }})
	client, ctx := awslambda.NewFromConfig(config(a)), t.Context()
	none, err := client.ListFunctions(ctx, &awslambda.ListFunctionsInput{})
	ok(t, "none", err)
	equal(t, "none", len(none.Functions), 0)
	nothing := func(context.Context, []byte) ([]byte, error) { return nil, nil }
	for _, name := range []string{"c", "a", "b"} {
		register(t, a, awslocal.Function{Name: name, Timeout: 90 * time.Second, Memory: 256}, nothing)
	}
	var said []string
	for p := awslambda.NewListFunctionsPaginator(client, &awslambda.ListFunctionsInput{MaxItems: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		ok(t, "page", err)
		for _, f := range page.Functions {
			said = append(said, *f.FunctionName)
			equal(t, "function", fmt.Sprintf("%s %s %d %d %s %s %s", *f.FunctionArn, f.Runtime, *f.Timeout, *f.MemorySize, *f.Version, f.State, *f.LastModified),
				"arn:aws:lambda:ap-northeast-1:000000000000:function:"+*f.FunctionName+" provided.al2023 90 256 $LATEST Active 2026-11-22T01:02:03.000+0000")
		}
		said = append(said, "|")
	}
	equal(t, "functions", strings.Join(said, " "), "a b | c |")
	one, err := client.GetFunctionConfiguration(ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: aws.String("arn:aws:lambda:ap-northeast-1:000000000000:function:b")})
	ok(t, "configuration", err)
	equal(t, "configuration", *one.FunctionName, "b")
	_, err = client.GetFunctionConfiguration(ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: aws.String("d")})
	code(t, "configuration of none", err, "ResourceNotFoundException")
	_, err = client.GetFunctionConfiguration(ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: aws.String("b"), Qualifier: aws.String("7")})
	code(t, "configuration of a version", err, "ResourceNotFoundException")
	_, err = client.ListFunctions(ctx, &awslambda.ListFunctionsInput{MaxItems: aws.Int32(0)})
	code(t, "no items", err, "InvalidParameterValueException")
	equal(t, "counted", a.Calls()["lambda.ListFunctions"]+a.Calls()["lambda.GetFunctionConfiguration"], 7)
}

// speaker composes handlers that log their event, and counts them. An event of
// "wait" keeps its handler busy until the gate opens.
func speaker(made *atomic.Int32, gate <-chan struct{}) awslocal.Compose {
	return func(logs io.Writer) (lambda.Handler, error) {
		made.Add(1)
		return handler(func(_ context.Context, payload []byte) ([]byte, error) {
			_, _ = fmt.Fprintf(logs, "got %s\n", payload)
			if strings.Contains(string(payload), "wait") {
				<-gate
			}
			if strings.Contains(string(payload), "long") {
				_, _ = fmt.Fprintf(logs, "%s\n", strings.Repeat("x", 5000))
			}
			if strings.Contains(string(payload), "fail") {
				return nil, errors.New("asked to fail")
			}
			return payload, nil
		}), nil
	}
}

func TestTheEndOfALogComesWithTheAnswer(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client := awslambda.NewFromConfig(config(a))
	var made atomic.Int32
	gate := make(chan struct{})
	var output strings.Builder
	ok(t, "register", a.Register(awslocal.Function{Name: "f", Compose: speaker(&made, gate), Output: &output, Timeout: time.Minute}))
	invoke := func(event string) string {
		out, err := client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("f"), Payload: []byte(event), LogType: "Tail"})
		ok(t, event, err)
		equal(t, event, out.FunctionError != nil, strings.Contains(event, "fail"))
		logs, err := base64.StdEncoding.DecodeString(*out.LogResult)
		ok(t, event, err)
		return string(logs)
	}
	logs := invoke(`"one"`)
	lines := strings.Split(logs, "\n")
	equal(t, logs, strings.HasPrefix(lines[0], "START RequestId: ") && strings.HasSuffix(lines[0], " Version: $LATEST"), true)
	equal(t, logs, lines[1], `got "one"`)
	equal(t, logs, strings.HasPrefix(lines[2], "END RequestId: ") && strings.HasPrefix(lines[3], "REPORT RequestId: ") && strings.Contains(lines[3], "Memory Size: 128 MB"), true)
	equal(t, "a failure has its log", strings.Contains(invoke(`"fail"`), `got "fail"`), true)
	long := invoke(`"long"`)
	equal(t, "the last 4 KB", len(long) == 4096 && strings.Contains(long, "REPORT") && !strings.Contains(long, "START"), true)
	equal(t, "one after the other, one handler", made.Load(), 1)
	var both sync.WaitGroup
	var waiting string
	both.Go(func() { waiting = invoke(`"wait"`) })
	for made.Load() == 1 { // until the waiting one is busy, the other may take its handler
		equal(t, "only its own log", strings.Count(invoke(`"beside"`), "got"), 1)
	}
	close(gate)
	both.Wait()
	equal(t, "only its own log", strings.Count(waiting, "got"), 1)
	equal(t, "everything is in the output", strings.Contains(output.String(), `got "one"`) && strings.Contains(output.String(), `got "wait"`), true)
	plain, err := client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("f"), Payload: []byte(`"one"`)})
	ok(t, "without", err)
	equal(t, "none is sent unasked", plain.LogResult == nil, true)
}

func TestACompositionThatFailsIsAnAnswer(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	ok(t, "register", a.Register(awslocal.Function{Name: "f", Compose: func(io.Writer) (lambda.Handler, error) { return nil, errors.New("no setting") }}))
	answer, err := a.Invoke(t.Context(), "f", []byte("{}"))
	ok(t, "invoke", err)
	equal(t, string(answer.Payload), answer.Error, "Unhandled")
	equal(t, string(answer.Payload), strings.Contains(string(answer.Payload), "no setting"), true)
}

func TestInvokeRefusesUnknownHeadersByName(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	for header, value := range map[string]string{"X-Amz-Tenant-Id": "t", "X-Amz-Durable-Execution-Name": "n", "X-Amz-Client-Context": "e30="} {
		answer, body := do(t, post(t, a.URL+"/2015-03-31/functions/f/invocations", "{}", header, value))
		equal(t, body, answer.StatusCode, http.StatusBadRequest)
		equal(t, body, strings.Contains(body, header), true)
	}
}
