// Command bootstrap is a Lambda function that does what its event says.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do    string        `json:"do"`
	Sleep time.Duration `json:"sleep"`
}

func handle(ctx context.Context, e event) (map[string]string, error) {
	fmt.Println("handling", e.Do)
	time.Sleep(e.Sleep)
	switch e.Do {
	case "fail":
		return nil, errors.New("asked to fail")
	case "panic":
		panic("asked to panic")
	case "exit":
		os.Exit(3)
	case "args":
		return map[string]string{"arguments": strings.Join(os.Args[1:], " ")}, nil
	case "long":
		fmt.Print(strings.Repeat("x", 200_000), "\nan end without one")
		os.Exit(0)
	case "big":
		return map[string]string{"body": strings.Repeat("x", 7<<20)}, nil
	}
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	return map[string]string{
		"pid": fmt.Sprint(os.Getpid()), "request": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "left": time.Until(deadline).Round(time.Second).String(),
		"setting": os.Getenv("SETTING"), "endpoint": os.Getenv("AWS_ENDPOINT_URL"), "root": os.Getenv("LAMBDA_TASK_ROOT"), "home": os.Getenv("HOME"),
		"memory": os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
	}, nil
}

// initialize does what SETTING says, as a function does before its first event.
func initialize() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"
	switch os.Getenv("SETTING") {
	case "posted":
		_, _ = http.Post(api+"init/error", "application/json", strings.NewReader(`{"errorType":"Runtime.Settings","errorMessage":"the settings have 1 fault"}`))
		os.Exit(1)
	case "stranger":
		answer, err := http.Post(api+"invocation/unknown/response", "application/json", strings.NewReader(`1`))
		if err == nil {
			fmt.Println("stranger", answer.StatusCode)
		}
	}
}

func main() {
	initialize()
	if os.Getenv("SETTING") == "broken" {
		fmt.Println("the settings have 1 fault")
		os.Exit(1)
	}
	lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() { fmt.Println("terminated") }))
}
