package awslocal_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"hikyaku/internal/awslocal"
	"hikyaku/pkg/providers/sandbox"
)

func post(t *testing.T, url, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	ok(t, "request", err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func do(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	ok(t, "call", err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	ok(t, "read", err)
	return answer, string(body)
}

func putText(a *awslocal.AWS, t *testing.T, key, text string) error {
	t.Helper()
	_, err := s3Client(a).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(awslocal.Bucket), Key: &key, Body: strings.NewReader(text)})
	return err
}

func TestFaultsSpeakEachServicesLanguage(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	ctx := t.Context()
	calls := map[string]struct {
		run               func() error
		throttled, failed string
	}{
		"s3.PutObject": {func() error { return putText(a, t, "k", "v") }, "SlowDown", "InternalError"},
		"secretsmanager.ListSecrets": {func() error {
			_, err := secretsmanager.NewFromConfig(config(a)).ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
			return err
		}, "ThrottlingException", "InternalServiceError"},
		"sqs.ListQueues": {func() error {
			_, err := sqs.NewFromConfig(config(a)).ListQueues(ctx, &sqs.ListQueuesInput{})
			return err
		}, "RequestThrottled", "InternalServiceError"},
		"lambda.Invoke": {func() error {
			_, err := awslambda.NewFromConfig(config(a)).Invoke(ctx, &awslambda.InvokeInput{FunctionName: aws.String("f")})
			return err
		}, "TooManyRequestsException", "ServiceException"},
	}
	for operation, c := range calls {
		a.Inject(sandbox.Fault{Route: operation, Kind: sandbox.TooMany}, sandbox.Fault{Route: operation, Kind: sandbox.ServerFail})
		code(t, operation, c.run(), c.throttled)
		code(t, operation, c.run(), c.failed)
		equal(t, operation, a.Calls()[operation], 2)
	}
	ok(t, "afterwards", putText(a, t, "k", "v"))
}

func TestLostTakesEffectAndDroppedDoesNot(t *testing.T) {
	t.Parallel()
	inProcess, err := awslocal.New(awslocal.Options{})
	ok(t, "new", err)
	for name, a := range map[string]*awslocal.AWS{"socket": start(t, awslocal.Options{}), "in-process": inProcess} {
		a.Inject(
			sandbox.Fault{Route: "s3.PutObject", Kind: sandbox.Dropped, After: 1},
			sandbox.Fault{Route: "s3.PutObject", Kind: sandbox.Lost},
		)
		for i, key := range []string{"lost", "dropped", "kept"} {
			err := putText(a, t, key, "v")
			var answer smithy.APIError
			if cut := err != nil && !errors.As(err, &answer); cut != (i < 2) {
				t.Errorf("%s, %s: %v", name, key, err)
			}
		}
		list, err := s3Client(a).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(awslocal.Bucket)})
		ok(t, "list", err)
		equal(t, name, len(list.Contents), 2)
		equal(t, name, *list.Contents[0].Key+" "+*list.Contents[1].Key, "kept lost")
		a.Inject(sandbox.Fault{Kind: sandbox.TooMany, Times: -1})
		for range 3 {
			code(t, name, putText(a, t, "k", "v"), "SlowDown")
		}
		a.ClearFaults()
		ok(t, name, putText(a, t, "k", "v"))
		equal(t, name, a.Calls()["s3.PutObject"], 7)
	}
}

func TestDelays_ComeBeforeWhateverElseHappens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, err := awslocal.New(awslocal.Options{})
		ok(t, "new", err)
		defer func() { _ = a.Close() }()
		a.Inject(
			sandbox.Fault{Route: "s3.PutObject", Kind: sandbox.ServerFail, Delay: time.Hour},
			sandbox.Fault{Kind: sandbox.Slow, Delay: time.Second, Times: -1},
		)
		begin := time.Now()
		code(t, "first", putText(a, t, "k", "v"), "InternalError")
		equal(t, "the failure", time.Since(begin), time.Hour)
		begin = time.Now()
		ok(t, "second", putText(a, t, "k", "v"))
		equal(t, "the lasting one", time.Since(begin), time.Second)
	})
}

// What AWS does not show is refused by name, not left out in silence.
func TestInject_RefusesWhatAWSDoesNotShow(t *testing.T) {
	t.Parallel()
	a, err := awslocal.New(awslocal.Options{})
	ok(t, "new", err)
	for _, kind := range []sandbox.FaultKind{sandbox.BadGateway, sandbox.Reset, sandbox.Denied, sandbox.Garbage, sandbox.None} {
		func() {
			defer func() {
				if said, _ := recover().(string); !strings.HasSuffix(said, string(kind)) || said == "" {
					t.Errorf("%q: %q", kind, said)
				}
			}()
			a.Inject(sandbox.Fault{Kind: kind})
		}()
	}
}

func TestTheDoorCountsEverything(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	ok(t, "put", putText(a, t, "k", "v"))
	_, _ = s3Client(a).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(awslocal.Bucket), Key: aws.String("none")})
	_, _ = do(t, post(t, a.URL+"/", "{}", "X-Amz-Target", "secretsmanager.NoSuchThing"))
	for operation, n := range map[string]int{"s3.PutObject": 1, "s3.GetObject": 1, "secretsmanager.NoSuchThing": 1} {
		equal(t, operation, a.Calls()[operation], n)
	}
	equal(t, "operations", len(a.Calls()), 3)
}

// A call that comes while the local AWS ends is not answered as if it had been done.
func TestEndedCallsAreCutOff(t *testing.T) {
	t.Parallel()
	a, err := awslocal.New(awslocal.Options{})
	ok(t, "new", err)
	for _, call := range []string{"PUT /hikyaku/key", "GET /hikyaku/key"} {
		method, path, _ := strings.Cut(call, " ")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		func() {
			defer func() { equal(t, call, recover() == any(http.ErrAbortHandler), true) }()
			w := httptest.NewRecorder()
			a.Handler().ServeHTTP(w, httptest.NewRequest(method, "http://s3.test"+path, strings.NewReader("x")).WithContext(ctx))
			t.Errorf("%s was answered %d", call, w.Code)
		}()
	}
}
