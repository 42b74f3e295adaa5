// Command export is the bare function that the cold start of export is measured
// beside: it makes the same SDK clients and answers null.
package main

import (
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"hikyaku/scripts/coldstart/bare"
)

func main() {
	c := bare.Config()
	bare.Serve(secretsmanager.NewFromConfig(c), s3.NewFromConfig(c), lambda.NewFromConfig(c))
}
