package smstore_test

import (
	"net/url"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/secretstore/secretstoretest"
	"hikyaku/internal/secretstore/smstore"
)

// endpoint names an AWS that the suite runs against besides the local one,
// which has its own test: .ci/run starts a moto server there.
const endpoint = "HIKYAKU_TEST_AWS_ENDPOINT"

// moto is how moto 5.2.5 differs from the documented service; see
// docs/decisions/0003-moto-departures.md.
var moto = secretstoretest.Departures{
	DanglingPromoteLosesStage:   true,
	UnguardedPromoteCopiesStage: true,
	PutCurrentStripsStages:      true,
	PutCurrentAfterPromoteForks: true,
	PendingIsMutable:            true,
	NoValueLimit:                true,
	NoQuota:                     true,
}

func client(address string) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{
		Region: "ap-northeast-1", BaseEndpoint: aws.String(address),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

func TestEndpointConforms(t *testing.T) {
	t.Parallel()
	for _, address := range endpoints(t) {
		t.Run("endpoint", func(t *testing.T) {
			t.Parallel()
			secretstoretest.Run(t, func(*testing.T) secretstore.Store { return smstore.New(client(address), "") }, moto)
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
