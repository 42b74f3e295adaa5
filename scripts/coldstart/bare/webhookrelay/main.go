// Command webhookrelay is the bare function that the cold start of webhookrelay is measured
// beside: it makes the same SDK clients and answers null.
package main

import (
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"hikyaku/scripts/coldstart/bare"
)

func main() {
	c := bare.Config()
	bare.Serve(secretsmanager.NewFromConfig(c), s3.NewFromConfig(c), lambda.NewFromConfig(c), sqs.NewFromConfig(c))
}
