package s3store_test

import (
	"errors"
	"net/url"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/objectstoretest"
	"hikyaku/internal/objectstore/s3store"
)

// endpoint names an AWS that the suite runs against besides the local one,
// which has its own test: .ci/run starts a moto server there.
const endpoint = "HIKYAKU_TEST_AWS_ENDPOINT"

const bucket = "hikyaku-conformance"

func TestEndpointConforms(t *testing.T) {
	t.Parallel()
	for _, address := range endpoints(t) {
		t.Run("endpoint", func(t *testing.T) {
			t.Parallel()
			config := aws.Config{
				Region: "us-east-1", BaseEndpoint: aws.String(address), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
			}
			api := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
			_, err := api.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)})
			var owned *types.BucketAlreadyOwnedByYou
			if err != nil && !errors.As(err, &owned) {
				t.Fatal(err)
			}
			objectstoretest.Run(t, func(*testing.T) objectstore.Store { return s3store.New(config, bucket) })
		})
	}
}

// endpoints lists the endpoint of the environment, or none.
func endpoints(t *testing.T) []string {
	t.Helper()
	address := os.Getenv(endpoint)
	if address == "" {
		return nil
	}
	if _, err := url.ParseRequestURI(address); err != nil {
		t.Fatalf("%s: not a URL", endpoint)
	}
	return []string{address}
}
