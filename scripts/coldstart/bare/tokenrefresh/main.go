// Command tokenrefresh is the bare function that the cold start of tokenrefresh is measured
// beside: it makes the same SDK clients and answers null.
package main

import (
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"hikyaku/scripts/coldstart/bare"
)

func main() {
	c := bare.Config()
	bare.Serve(secretsmanager.NewFromConfig(c), s3.NewFromConfig(c), lambda.NewFromConfig(c), eventbridge.NewFromConfig(c))
}
