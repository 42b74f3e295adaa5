package awslocal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"hikyaku/internal/awslocal"
)

type handler func(ctx context.Context, payload []byte) ([]byte, error)

func (h handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return h(ctx, payload) }

func register(t *testing.T, a *awslocal.AWS, f awslocal.Function, h handler) {
	t.Helper()
	f.Handler = h
	ok(t, "register", a.Register(f))
}

// bubble runs a test in virtual time, on a local AWS without a socket.
func bubble(t *testing.T, run func(t *testing.T, a *awslocal.AWS)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, err := awslocal.New(awslocal.Options{})
		ok(t, "new", err)
		defer func() { _ = a.Close() }()
		run(t, a)
	})
}

func TestInvokeAnswersWhatTheHandlerDoes(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client := awslambda.NewFromConfig(config(a))
	register(t, a, awslocal.Function{Name: "f", Timeout: time.Minute}, func(ctx context.Context, payload []byte) ([]byte, error) {
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		if left := time.Until(deadline); left < 59*time.Second || left > time.Minute || len(lc.AwsRequestID) != 36 {
			return nil, fmt.Errorf("%v left, request %q", left, lc.AwsRequestID)
		}
		switch string(payload) {
		case `"typed"`:
			return nil, messages.InvokeResponse_Error{Type: "Custom", Message: "of a type"}
		case `"wrapped"`:
			return nil, fmt.Errorf("wrapping: %w", errors.New("inner"))
		case `"panic"`:
			panic(errors.New("panicked"))
		case `"nothing"`:
			return nil, nil
		case `"big"`:
			return make([]byte, 6<<20+1), nil
		}
		return fmt.Appendf(nil, `{"got":%s,"arn":%q}`, payload, lc.InvokedFunctionArn), nil
	})
	const functionARN = "arn:aws:lambda:ap-northeast-1:000000000000:function:f"
	for _, c := range []struct{ name, payload, want, failed string }{
		{"f", `1`, `{"got":1,"arn":"` + functionARN + `"}`, ""},
		{functionARN, `[]`, `{"got":[],"arn":"` + functionARN + `"}`, ""},
		{functionARN + ":$LATEST", `2`, `{"got":2,"arn":"` + functionARN + `"}`, ""},
		{"000000000000:function:f", `3`, `{"got":3,"arn":"` + functionARN + `"}`, ""},
		{"f", ``, `{"got":{},"arn":"` + functionARN + `"}`, ""},
		{"f", `"nothing"`, `null`, ""},
		{"f", `"typed"`, `{"errorMessage":"of a type","errorType":"Custom"}`, "Unhandled"},
		{"f", `"wrapped"`, `{"errorMessage":"wrapping: inner","errorType":"wrapError"}`, "Unhandled"},
		{"f", `"panic"`, `{"errorMessage":"panicked","errorType":"errorString"}`, "Unhandled"},
		{"f", `"big"`, `{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291456 bytes).","errorType":"Function.ResponseSizeTooLarge"}`, "Unhandled"},
	} {
		out, err := client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: &c.name, Payload: []byte(c.payload)})
		ok(t, c.payload, err)
		equal(t, c.payload, string(out.Payload), c.want)
		equal(t, c.payload, aws.ToString(out.FunctionError), c.failed)
		equal(t, "version", aws.ToString(out.ExecutedVersion), "$LATEST")
	}
	for doing, in := range map[string]*awslambda.InvokeInput{
		"ResourceNotFoundException":      {FunctionName: aws.String("none")},
		"InvalidRequestContentException": {FunctionName: aws.String("f"), Payload: []byte(`{`)},
		"RequestTooLargeException":       {FunctionName: aws.String("f"), Payload: []byte(`"` + strings.Repeat("x", 6<<20) + `"`)},
		"InvalidParameterValueException": {FunctionName: aws.String("f"), InvocationType: "Sometimes"},
	} {
		_, err := client.Invoke(t.Context(), in)
		code(t, doing, err, doing)
	}
	out, err := client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("f"), InvocationType: types.InvocationTypeDryRun})
	ok(t, "dry run", err)
	equal(t, "dry run", out.StatusCode, 204)
	_, err = client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("none"), InvocationType: types.InvocationTypeDryRun})
	code(t, "dry run of none", err, "ResourceNotFoundException")
}

func TestInvokeIgnoresNothingItIsAskedFor(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client := awslambda.NewFromConfig(config(a))
	register(t, a, awslocal.Function{Name: "f", Aliases: []string{"own"}}, func(context.Context, []byte) ([]byte, error) { return []byte(`1`), nil })
	f := aws.String("f")
	for _, c := range []struct {
		in          awslambda.InvokeInput
		code, named string
	}{
		{awslambda.InvokeInput{FunctionName: f, Qualifier: aws.String("$LATEST"), LogType: types.LogTypeNone}, "", ""},
		{awslambda.InvokeInput{FunctionName: aws.String("f:$LATEST"), Qualifier: aws.String("$LATEST")}, "", ""},
		{awslambda.InvokeInput{FunctionName: f, Qualifier: aws.String("live")}, "ResourceNotFoundException", "function:f:live"},
		{awslambda.InvokeInput{FunctionName: aws.String("000000000000:function:f"), Qualifier: aws.String("live")}, "ResourceNotFoundException", "000000000000:function:f:live"},
		{awslambda.InvokeInput{FunctionName: aws.String("f:live")}, "ResourceNotFoundException", "function:f:live"},
		{awslambda.InvokeInput{FunctionName: aws.String("arn:aws:lambda:ap-northeast-1:000000000000:function:f:7")}, "ResourceNotFoundException", "function:f:7"},
		{awslambda.InvokeInput{FunctionName: aws.String("f:own"), Qualifier: aws.String("own")}, "", ""},
		{awslambda.InvokeInput{FunctionName: aws.String("f:own"), Qualifier: aws.String("$LATEST")}, "InvalidParameterValueException", "does not match"},
		{awslambda.InvokeInput{FunctionName: aws.String("f:own:own")}, "ResourceNotFoundException", "function:f:own:own"},
		{awslambda.InvokeInput{FunctionName: aws.String("own")}, "ResourceNotFoundException", "function:own"},
		{awslambda.InvokeInput{FunctionName: f, LogType: types.LogTypeTail}, "InvalidParameterValueException", "X-Amz-Log-Type Tail"},
		{awslambda.InvokeInput{FunctionName: f, ClientContext: aws.String("e30=")}, "InvalidParameterValueException", "X-Amz-Client-Context"},
	} {
		_, err := client.Invoke(t.Context(), &c.in)
		code(t, c.named, err, c.code)
		if err != nil && !strings.Contains(err.Error(), c.named) {
			t.Errorf("%v does not name %s", err, c.named)
		}
	}
}

// A function is told by which of its aliases it was invoked, whichever way the
// caller names it.
func TestInvokeTellsTheFunctionItsAlias(t *testing.T) {
	t.Parallel()
	const plain = "arn:aws:lambda:ap-northeast-1:000000000000:function:f"
	a := start(t, awslocal.Options{})
	client := awslambda.NewFromConfig(config(a))
	told := make(chan string, 1)
	register(t, a, awslocal.Function{Name: "f", Aliases: []string{"readers", "schedule"}}, func(ctx context.Context, _ []byte) ([]byte, error) {
		lc, _ := lambdacontext.FromContext(ctx)
		told <- lc.InvokedFunctionArn
		return nil, nil
	})
	for name, c := range map[string]struct {
		in   awslambda.InvokeInput
		want string
	}{
		"no alias":        {awslambda.InvokeInput{FunctionName: aws.String("f")}, plain},
		"parameter":       {awslambda.InvokeInput{FunctionName: aws.String("f"), Qualifier: aws.String("readers")}, plain + ":readers"},
		"ARN, parameter":  {awslambda.InvokeInput{FunctionName: aws.String(plain), Qualifier: aws.String("readers")}, plain + ":readers"},
		"suffix":          {awslambda.InvokeInput{FunctionName: aws.String("f:schedule")}, plain + ":schedule"},
		"suffix of ARN":   {awslambda.InvokeInput{FunctionName: aws.String(plain + ":schedule")}, plain + ":schedule"},
		"asynchronous":    {awslambda.InvokeInput{FunctionName: aws.String("f:schedule"), InvocationType: types.InvocationTypeEvent}, plain + ":schedule"},
		"a partial ARN's": {awslambda.InvokeInput{FunctionName: aws.String("000000000000:function:f:readers")}, plain + ":readers"},
	} {
		_, err := client.Invoke(t.Context(), &c.in)
		ok(t, name, err)
		equal(t, name, <-told, c.want)
	}
	shown, err := client.GetFunctionConfiguration(t.Context(), &awslambda.GetFunctionConfigurationInput{FunctionName: aws.String("f"), Qualifier: aws.String("readers")})
	ok(t, "configuration", err)
	equal(t, "configuration", *shown.FunctionArn+" "+*shown.Version, plain+":readers $LATEST")
}

func TestRegisterRefusesHalfAFunction(t *testing.T) {
	t.Parallel()
	a, err := awslocal.New(awslocal.Options{})
	ok(t, "new", err)
	some := handler(func(context.Context, []byte) ([]byte, error) { return nil, nil })
	for _, f := range []awslocal.Function{{Handler: some}, {Name: "f"}, {Name: "f", Handler: some, Binary: "bootstrap"}} {
		if a.Register(f) == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

func TestTooManyInvocationsAreThrottled(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		register(t, a, awslocal.Function{Name: "f", Concurrency: 2, Timeout: time.Minute}, func(context.Context, []byte) ([]byte, error) {
			time.Sleep(10 * time.Second)
			return []byte(`"done"`), nil
		})
		var done atomic.Int32
		for range 2 {
			go func() {
				if _, err := a.Invoke(t.Context(), "f", []byte(`{}`)); err == nil {
					done.Add(1)
				}
			}()
		}
		synctest.Wait()
		_, err := awslambda.NewFromConfig(config(a)).Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("f")})
		code(t, "the third", err, "TooManyRequestsException")
		var throttled *types.TooManyRequestsException
		equal(t, "as", errors.As(err, &throttled), true)
		equal(t, "reason", throttled.Reason, types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		equal(t, "done", done.Load(), 2)
		_, err = a.Invoke(t.Context(), "f", []byte(`{}`))
		ok(t, "afterwards", err)
		equal(t, "counted", a.Calls()["lambda.Invoke"], 4)
	})
}

func TestAHandlerTimesOutAndKeepsItsSlot(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		register(t, a, awslocal.Function{Name: "f", Concurrency: 1}, func(context.Context, []byte) ([]byte, error) {
			time.Sleep(5 * time.Second)
			return nil, nil
		})
		begin := time.Now()
		got, failed := invoke(t, a, "f", `{}`)
		equal(t, "after", time.Since(begin), 3*time.Second)
		equal(t, "kind", failed+" "+got["errorType"], "Unhandled Sandbox.Timedout")
		equal(t, "message", strings.HasSuffix(got["errorMessage"], "Error: Task timed out after 3.00 seconds"), true)
		if _, err := a.Invoke(t.Context(), "f", []byte(`{}`)); err == nil {
			t.Error("the slot was free while the handler still ran")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, err := a.Invoke(t.Context(), "f", []byte(`{}`)); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		time.Sleep(time.Minute)
	})
}

func TestAsynchronousInvocationsAreTriedThreeTimes(t *testing.T) {
	t.Parallel()
	for name, failures := range map[string]int{"never fails": 0, "fails twice": 2, "fails always": 99} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, a *awslocal.AWS) {
				begin := time.Now()
				var tries []time.Duration
				register(t, a, awslocal.Function{Name: "f"}, func(context.Context, []byte) ([]byte, error) {
					tries = append(tries, time.Since(begin))
					if len(tries) <= failures {
						return nil, errors.New("not yet")
					}
					return nil, nil
				})
				client := awslambda.NewFromConfig(config(a))
				send := func(name, payload string) error {
					out, err := client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: &name, InvocationType: types.InvocationTypeEvent, Payload: []byte(payload)})
					if err == nil {
						equal(t, "status", out.StatusCode, 202)
						equal(t, "payload", string(out.Payload), "")
					}
					return err
				}
				ok(t, "send", send("f", `{}`))
				code(t, "send to none", send("none", `{}`), "ResourceNotFoundException")
				code(t, "send too much", send("f", `"`+strings.Repeat("x", 1<<20)+`"`), "RequestTooLargeException")
				time.Sleep(time.Hour)
				synctest.Wait()
				want := []time.Duration{0, time.Minute, 3 * time.Minute}[:min(failures+1, 3)]
				equal(t, "tries", fmt.Sprint(tries), fmt.Sprint(want))
				equal(t, "counted", a.Calls()["lambda.Invoke"], len(want)+2)
			})
		})
	}
}

func TestAsynchronousInvocationsWaitForASlot(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		var done atomic.Int32
		register(t, a, awslocal.Function{Name: "f", Concurrency: 1, Timeout: time.Minute}, func(context.Context, []byte) ([]byte, error) {
			time.Sleep(30 * time.Second)
			done.Add(1)
			return nil, nil
		})
		for range 4 {
			_, err := awslambda.NewFromConfig(config(a)).Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("f"), InvocationType: types.InvocationTypeEvent})
			ok(t, "send", err)
		}
		time.Sleep(2*time.Minute + 5*time.Second)
		synctest.Wait()
		equal(t, "done", done.Load(), 4)
	})
}

func TestAFunctionCanBeReplaced(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	for _, answer := range []string{`"old"`, `"new"`} {
		register(t, a, awslocal.Function{Name: "f"}, func(context.Context, []byte) ([]byte, error) { return []byte(answer), nil })
		r, err := a.Invoke(t.Context(), "f", json.RawMessage(`{}`))
		ok(t, "invoke", err)
		equal(t, "answer", string(r.Payload), answer)
	}
}
