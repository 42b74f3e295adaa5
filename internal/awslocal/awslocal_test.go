package awslocal_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/objectstoretest"
	"hikyaku/internal/objectstore/s3store"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/secretstore/secretstoretest"
	"hikyaku/internal/secretstore/smstore"
)

// start serves a local AWS on a socket until the test ends.
func start(t *testing.T, o awslocal.Options) *awslocal.AWS {
	t.Helper()
	a, err := awslocal.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// config reaches a local AWS: over its socket, or in-process without one.
// Retries are off, so that each call is one.
func config(a *awslocal.AWS) aws.Config {
	c := aws.Config{
		Region: awslocal.Region, BaseEndpoint: aws.String(a.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}
	if !strings.HasPrefix(a.URL, "http://127.") {
		c.HTTPClient = a.Client()
	}
	return c
}

func s3Client(a *awslocal.AWS) *s3.Client {
	return s3.NewFromConfig(config(a), func(o *s3.Options) { o.UsePathStyle = true })
}

// code asserts an error's AWS code; empty means none.
func code(t *testing.T, doing string, err error, want string) {
	t.Helper()
	var answer smithy.APIError
	got := ""
	if errors.As(err, &answer) {
		got = answer.ErrorCode()
	} else if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Fatalf("%s: got %q, want %q (%v)", doing, got, want, err)
	}
}

func ok(t *testing.T, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func TestSecretsConform(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	secretstoretest.Run(t, func(*testing.T) secretstore.Store {
		return smstore.New(secretsmanager.NewFromConfig(config(a)), "")
	}, secretstoretest.Departures{})
}

func TestKeptSecretsConform(t *testing.T) {
	t.Parallel()
	c := restarted(t, awslocal.Options{})
	secretstoretest.Run(t, func(*testing.T) secretstore.Store {
		return smstore.New(secretsmanager.NewFromConfig(c), "")
	}, secretstoretest.Departures{})
}

func TestObjectsConform(t *testing.T) {
	t.Parallel()
	heavy := []string{"list many"} // lists come from the same index, wherever the bodies lie
	for name, c := range map[string]struct {
		dir   string
		heavy []string
	}{"memory": {}, "directory": {t.TempDir(), heavy}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, awslocal.Options{Dir: c.dir})
			objectstoretest.Run(t, func(*testing.T) objectstore.Store { return s3store.New(config(a), awslocal.Bucket) }, c.heavy...)
		})
	}
	for name, dir := range map[string]string{"restarted": "", "restarted, with a directory": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := restarted(t, awslocal.Options{Dir: dir})
			objectstoretest.Run(t, func(*testing.T) objectstore.Store { return s3store.New(c, awslocal.Bucket) }, heavy...)
		})
	}
	t.Run("TLS", func(t *testing.T) { // over which bodies are sent in chunks, with the checksum after them
		t.Parallel()
		a := start(t, awslocal.Options{})
		behind, err := url.Parse(a.URL)
		ok(t, "address", err)
		proxy := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(behind))
		t.Cleanup(proxy.Close)
		c := config(a)
		c.BaseEndpoint, c.HTTPClient = &proxy.URL, proxy.Client()
		objectstoretest.Run(t, func(*testing.T) objectstore.Store { return s3store.New(c, awslocal.Bucket) }, heavy...)
	})
}

func TestEnvironmentIsWhatClientsNeed(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	got := strings.Join(a.Environment(), "\n") + "\n"
	for _, want := range []string{
		"AWS_ENDPOINT_URL=" + a.URL + "\n", "AWS_REGION=ap-northeast-1\n", "AWS_DEFAULT_REGION=ap-northeast-1\n",
		"AWS_ACCESS_KEY_ID=local\n", "AWS_SECRET_ACCESS_KEY=local\n", "AWS_EC2_METADATA_DISABLED=true\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestStartRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	if _, err := awslocal.Start(t.Context(), awslocal.Options{Addr: strings.TrimPrefix(a.URL, "http://")}); err == nil {
		t.Error("an address in use was taken")
	}
	dir := t.TempDir()
	first := start(t, awslocal.Options{Dir: dir})
	ok(t, "close", first.Close())
	if _, err := awslocal.New(awslocal.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a directory in use was taken: %v", err)
	}
}

func TestEndOfContextEndsTheListener(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	a, err := awslocal.Start(ctx, awslocal.Options{})
	ok(t, "start", err)
	cancel()
	for range 100 {
		if _, err = http.Get(a.URL); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("still listening")
}

// TestRefusalsNameWhatIsAsked asks for things that are not served, of every
// service and in every protocol.
func TestRefusalsNameWhatIsAsked(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	ctx := t.Context()
	sm, queues := secretsmanager.NewFromConfig(config(a)), sqs.NewFromConfig(config(a))
	bucket, key := aws.String(awslocal.Bucket), aws.String("k")
	_, policy := sm.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: key})
	_, schedule := sm.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: key, RotationRules: &smtypes.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)}})
	_, replica := sm.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("x"), ForceOverwriteReplicaSecret: true})
	_, tasks := queues.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: aws.String("arn")})
	_, rules := eventbridge.NewFromConfig(config(a)).ListRules(ctx, &eventbridge.ListRulesInput{})
	_, trace := eventbridge.NewFromConfig(config(a)).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{{TraceHeader: key}}})
	lambdas := awslambda.NewFromConfig(config(a))
	_, function := lambdas.GetFunction(ctx, &awslambda.GetFunctionInput{FunctionName: aws.String("f")})
	_, versions := lambdas.ListFunctions(ctx, &awslambda.ListFunctionsInput{FunctionVersion: "ALL"})
	_, layers := lambdas.ListLayers(ctx, &awslambda.ListLayersInput{})
	_, acl := s3Client(a).GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: bucket})
	_, old := s3Client(a).ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket})
	_, copied := s3Client(a).CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: key, CopySource: aws.String("hikyaku/a"), StorageClass: "GLACIER"})
	_, sourceVersion := s3Client(a).CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: key, CopySource: aws.String("hikyaku/a?versionId=1")})
	_, disposition := s3Client(a).GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, ResponseContentDisposition: aws.String("inline")})
	_, one := s3Client(a).DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &s3types.Delete{Objects: []s3types.ObjectIdentifier{{Key: key, VersionId: key}}}})
	_, locked := s3Client(a).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("locked"), ObjectLockEnabledForBucket: aws.Bool(true)})
	_, regional := s3Client(a).ListBuckets(ctx, &s3.ListBucketsInput{BucketRegion: aws.String("us-east-1")})
	_, class := s3Client(a).PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, StorageClass: "GLACIER"})
	_, part := s3Client(a).GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, PartNumber: aws.Int32(1)})
	_, owned := s3Client(a).UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, PartNumber: aws.Int32(1), UploadId: key, ExpectedBucketOwner: key})
	for _, c := range []struct {
		err         error
		code, named string
	}{
		{policy, "UnknownOperationException", "GetResourcePolicy"},
		{schedule, "InvalidParameterException", "RotationRules"},
		{replica, "InvalidParameterException", "ForceOverwriteReplicaSecret"},
		{tasks, "UnknownOperationException", "ListMessageMoveTasks"},
		{trace, "InvalidParameterException", "TraceHeader"},
		{rules, "UnknownOperationException", "ListRules"},
		{function, "UnknownOperationException", "lambda GetFunction;"},
		{versions, "InvalidParameterValueException", "FunctionVersion of lambda ListFunctions"},
		{layers, "UnknownOperationException", "lambda GET /2018-10-31/layers"},
		{acl, "NotImplemented", "GetBucketAcl"},
		{old, "NotImplemented", "ListObjectVersions;"},
		{copied, "NotImplemented", "X-Amz-Storage-Class of s3 CopyObject"},
		{sourceVersion, "NotImplemented", "versionId of the header X-Amz-Copy-Source"},
		{disposition, "NotImplemented", "response-content-disposition of s3 GetObject"},
		{one, "NotImplemented", "element VersionId of s3 DeleteObjects"},
		{locked, "NotImplemented", "X-Amz-Bucket-Object-Lock-Enabled of s3 CreateBucket"},
		{regional, "NotImplemented", "bucket-region of s3 ListBuckets"},
		{part, "NotImplemented", "partNumber of s3 GetObject"},
		{owned, "NotImplemented", "X-Amz-Expected-Bucket-Owner of s3 UploadPart"},
		{class, "NotImplemented", "X-Amz-Storage-Class of s3 PutObject"},
	} {
		code(t, c.named, c.err, c.code)
		if !strings.Contains(c.err.Error(), c.named) {
			t.Errorf("%v does not name %s", c.err, c.named)
		}
	}
}

func TestOtherServicesAreRefusedByName(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	for name, r := range map[string]*http.Request{
		"DynamoDB_20120810.ListTables": post(t, a.URL+"/", "{}", "X-Amz-Target", "DynamoDB_20120810.ListTables"),
		"sts POST /something":          post(t, a.URL+"/something", "{}", "Authorization", signedFor("sts")),
	} {
		answer, body := do(t, r)
		equal(t, name, answer.StatusCode, http.StatusBadRequest)
		var refusal struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		ok(t, name, json.Unmarshal([]byte(body), &refusal))
		equal(t, name, refusal.Type, "UnknownOperationException")
		if !strings.Contains(refusal.Message, name) || !strings.Contains(refusal.Message, "serves s3, secretsmanager, sqs") {
			t.Errorf("%q does not name %q", refusal.Message, name)
		}
	}
}

func signedFor(service string) string {
	return "AWS4-HMAC-SHA256 Credential=local/20261122/ap-northeast-1/" + service + "/aws4_request, SignedHeaders=host, Signature=0"
}

func TestPutEvents(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	a := start(t, awslocal.Options{Now: func() time.Time { return at }})
	client := eventbridge.NewFromConfig(config(a))
	put := func(source, kind, detail, bus string, at *time.Time) eventtypes.PutEventsRequestEntry {
		return eventtypes.PutEventsRequestEntry{Source: &source, DetailType: &kind, Detail: &detail, EventBusName: &bus, Time: at}
	}
	earlier := at.Add(-time.Hour)
	out, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{
		put("hikyaku", "needs_human", `{"provider":"yappli"}`, "default", nil),
		put("hikyaku", "recovered", `not JSON`, "default", nil),
		put("", "recovered", `{}`, "default", nil),
		put("hikyaku", "recovered", `{}`, "other", &earlier),
	}})
	ok(t, "put", err)
	equal(t, "failed", out.FailedEntryCount, 2)
	equal(t, "first refusal", aws.ToString(out.Entries[1].ErrorCode), "MalformedDetail")
	equal(t, "second refusal", aws.ToString(out.Entries[2].ErrorCode), "InvalidArgument")
	events := a.Events()
	equal(t, "kept", len(events), 2)
	equal(t, "id", events[0].ID, aws.ToString(out.Entries[0].EventId))
	equal(t, "detail", string(events[0].Detail), `{"provider":"yappli"}`)
	equal(t, "bus", events[0].Bus+" "+events[1].Bus, "default other")
	equal(t, "kinds", events[0].DetailType+" "+events[1].DetailType, "needs_human recovered")
	equal(t, "time", events[0].Time.Equal(at) && events[1].Time.Equal(earlier), true)
	_, err = client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{}})
	code(t, "no entries", err, "ValidationException")
	equal(t, "counted", a.Calls()["events.PutEvents"], 2)
}
