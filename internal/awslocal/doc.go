// Package awslocal is an AWS for one laptop: one address that the AWS CLI, any
// SDK and the real function binaries use by endpoint alone. It serves the
// command line and the tests, never production.
//
//	aws, err := awslocal.Start(ctx, awslocal.Options{Dir: "objects"})
//	...
//	defer aws.Close()
//	fmt.Println(aws.URL)            // AWS_ENDPOINT_URL for everybody else
//	cmd.Env = aws.Environment()     // or the whole environment at once
//
// It serves S3 (path style; single objects, multipart uploads, copies, lists),
// Secrets Manager (the fake of package secretstore), SQS FIFO queues, Lambda's
// Invoke, ListFunctions and GetFunctionConfiguration, event source mappings and
// schedules that can be switched off, EventBridge's PutEvents, STS GetCallerIdentity,
// what CloudFormation, CloudWatch, SNS and Step Functions tell of what was described
// ([AWS.Describe], [Told]), of which CloudWatch counts invocations, messages and requests
// of the gateway itself, and, apart, an API Gateway HTTP API:
//
//	aws.CreateQueue("users.fifo", map[string]string{"VisibilityTimeout": "60"})
//	aws.Register(awslocal.Function{Name: "relay", Binary: "build/bootstrap"})
//	go aws.Poll(ctx, awslocal.Mapping{Queue: "users.fifo", Function: "relay"})
//	http.ListenAndServe(addr, aws.Gateway("ingest", "POST /hooks/{secret}"))
//
// The documented rules hold, the awkward ones too. What is not served is
// refused by name, be it an operation, a parameter or a header: nothing is
// ignored in silence. Signatures are not checked, but a presigned address ends
// when it says; every caller may do everything.
//
// Nothing but the object files in Dir outlives the process, unless it has an
// Options.Keeper. Then queues with their messages, secrets, buckets and objects,
// and the schedules and sources that are switched off are as they were, however
// the process before ended: a change is kept before it is answered. Lost are
// multipart uploads that were not completed, events, what others are only told
// ([Told], [AWS.Describe]), and counts; functions, sources and schedules are
// added anew by each process.
//
// Everything that comes in is counted ([AWS.Calls]) and can be made to fail
// ([AWS.Inject]). Time is Options.Now's, or a testing/synctest bubble's: there
// use [New] and [AWS.Client], because a socket blocks a bubble for ever.
package awslocal
