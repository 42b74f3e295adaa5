package clibase

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"hikyaku/internal/locale"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
)

// A Stack is a deployed stack, found by its name.
type Stack struct {
	Name, Account, Region string

	Resources  map[string]string // physical ids, by logical id
	Types      map[string]string // such as AWS::SQS::Queue, by logical id
	Outputs    map[string]string
	Parameters map[string]string
	Status     string        // CloudFormation's, such as UPDATE_COMPLETE
	Skew       time.Duration // how far this machine's clock was ahead of AWS's
	Config     aws.Config    // with which the stack was found
}

// FindStack asks CloudFormation for a stack.
func FindStack(ctx context.Context, config aws.Config, name string) (*Stack, error) {
	client := cloudformation.NewFromConfig(config)
	fault := func(err error) error {
		if err == nil {
			return nil
		}
		if strings.Contains(err.Error(), "does not exist") {
			return locale.Errorf("there is no stack %s in %s: see 'aws cloudformation list-stacks', or choose another --region or --profile", name, config.Region)
		}
		return locale.Errorf("looking for the stack %s: %w", name, err)
	}
	described, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		return nil, fault(err)
	}
	if len(described.Stacks) != 1 {
		return nil, locale.Errorf("looking for the stack %s: %d were found", name, len(described.Stacks))
	}
	found := described.Stacks[0]
	id, err := awsarn.Parse(aws.ToString(found.StackId))
	if err != nil {
		return nil, locale.Errorf("looking for the stack %s: its id is no ARN", name)
	}
	s := &Stack{Name: aws.ToString(found.StackName), Account: id.AccountID, Region: id.Region, Resources: map[string]string{}, Types: map[string]string{}, Outputs: map[string]string{}, Parameters: map[string]string{}, Status: string(found.StackStatus), Config: config}
	if theirs, ok := awsmiddleware.GetServerTime(described.ResultMetadata); ok {
		s.Skew = time.Since(theirs).Truncate(time.Second) // the header has no more
	}
	for _, p := range found.Parameters {
		s.Parameters[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	for _, o := range found.Outputs {
		s.Outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	pages := cloudformation.NewListStackResourcesPaginator(client, &cloudformation.ListStackResourcesInput{StackName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fault(err)
		}
		for _, r := range page.StackResourceSummaries {
			name := aws.ToString(r.LogicalResourceId)
			s.Resources[name], s.Types[name] = aws.ToString(r.PhysicalResourceId), aws.ToString(r.ResourceType)
		}
	}
	return s, nil
}

// Settings are the settings with which one of the stack's functions runs, by its
// logical id. What Lambda itself sets is not among them.
func (s *Stack) Settings(ctx context.Context, function string) (map[string]string, error) {
	name := s.Resources[function]
	if name == "" {
		return nil, locale.Errorf("the stack %s has no %s: it is none of hikyaku's, or not deployed to its end", s.Name, function)
	}
	shown, err := awslambda.NewFromConfig(s.Config).GetFunctionConfiguration(ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil {
		return nil, locale.Errorf("reading the settings of %s: %w", name, err)
	}
	settings := map[string]string{}
	if shown.Environment != nil {
		if fault := shown.Environment.Error; fault != nil {
			return nil, locale.Errorf("reading the settings of %s: %s", name, aws.ToString(fault.Message))
		}
		for key, value := range shown.Environment.Variables {
			if strings.HasPrefix(key, own) {
				settings[key] = value
			}
		}
	}
	if len(settings) == 0 {
		return nil, locale.Errorf("the function %s shows no settings: your role may not read them, or it is none of hikyaku's", name)
	}
	return settings, nil
}

// Memory is how many MB a function has, by its own name.
func (s *Stack) Memory(ctx context.Context, name string) (float64, error) {
	shown, err := awslambda.NewFromConfig(s.Config).GetFunctionConfiguration(ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil {
		return 0, locale.Errorf("reading the settings of %s: %w", name, err)
	}
	return float64(aws.ToInt32(shown.MemorySize)), nil
}

// Invoke calls one of the stack's functions, by its logical id, through an alias, once,
// and returns its answer and, if it is asked for, the end of its log. An error of the
// function's is one here.
func (s *Stack) Invoke(ctx context.Context, function, alias string, payload []byte, logs bool) (answer, log []byte, err error) {
	name := s.Resources[function]
	if name == "" {
		return nil, nil, locale.Errorf("the stack %s has no %s: it is none of hikyaku's, or not deployed to its end", s.Name, function)
	}
	name += ":" + alias
	in := &awslambda.InvokeInput{FunctionName: &name, Payload: payload}
	if logs {
		in.LogType = types.LogTypeTail
	}
	out, err := awslambda.NewFromConfig(s.Config).Invoke(ctx, in, func(o *awslambda.Options) { o.Retryer = aws.NopRetryer{} })
	if err != nil {
		return nil, nil, notInvoked(name, err)
	}
	log, _ = base64.StdEncoding.DecodeString(aws.ToString(out.LogResult)) // what cannot be read is not shown
	if out.FunctionError != nil {
		var failure struct {
			Message string `json:"errorMessage"`
		}
		_ = json.Unmarshal(out.Payload, &failure) // without one, the log says it
		return nil, log, locale.Errorf("%s failed: %s", name, cmp.Or(failure.Message, "see its log"))
	}
	return out.Payload, log, nil
}

// notInvoked says what to do where a function was not invoked, or its answer was lost.
func notInvoked(name string, err error) error {
	var missing *types.ResourceNotFoundException
	var busy *types.TooManyRequestsException
	var refused smithy.APIError
	switch {
	case errors.As(err, &missing):
		return locale.Errorf("there is no %s: the stack is of a version before it, so deploy it again", name)
	case errors.As(err, &busy):
		return locale.Errorf("%s is throttled: too many functions of the account run at once; try again in a minute", name)
	case errors.As(err, &refused) && refused.ErrorCode() == "AccessDeniedException":
		return locale.Errorf("your role may not invoke %s: see policies/operator.json", name)
	}
	return locale.Errorf("invoking %s: %w", name, err)
}
