// Package bare is what the cold start bench compares with: functions that make
// the same SDK clients, with the same build flags, and do nothing. It is kept
// as it is, so that figures of different commits compare.
package bare

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Config is made from the environment that Lambda sets.
func Config() aws.Config {
	return aws.Config{
		Region: os.Getenv("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")),
	}
}

// Serve answers every event with null. The clients are arguments so that none
// of them is left out of the binary.
func Serve(clients ...any) {
	lambda.StartWithOptions(func(context.Context) (any, error) {
		return nil, os.Setenv("CLIENTS", string(rune('0'+len(clients))))
	}, lambda.WithEnableSIGTERM())
}
