package clibase

import (
	"context"
	"errors"
	"slices"

	"hikyaku/internal/locale"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"
)

// Sharing names the stacks of hikyaku's in an account and region that have a prefix, and
// counts all. Two with one prefix write the same secrets and objects.
func Sharing(ctx context.Context, config aws.Config, prefix string) (names []string, all int, err error) {
	pages := cloudformation.NewDescribeStacksPaginator(cloudformation.NewFromConfig(config), &cloudformation.DescribeStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, 0, err
		}
		for _, s := range page.Stacks {
			if !slices.ContainsFunc(s.Outputs, func(o types.Output) bool { return aws.ToString(o.OutputKey) == "TokenRefreshFunctionName" }) {
				continue
			}
			all++
			if slices.ContainsFunc(s.Parameters, func(p types.Parameter) bool {
				return aws.ToString(p.ParameterKey) == "Prefix" && aws.ToString(p.ParameterValue) == prefix
			}) {
				names = append(names, aws.ToString(s.StackName))
			}
		}
	}
	slices.Sort(names)
	return names, all, nil
}

// Plain is an error of AWS in a person's words: what was refused or failed, and why,
// without the layers of the SDK.
func Plain(err error) error {
	var refused smithy.APIError
	if errors.As(err, &refused) {
		return locale.Errorf("%s: %s", refused.ErrorCode(), refused.ErrorMessage())
	}
	var failed *smithy.OperationError
	if !errors.As(err, &failed) {
		return err
	}
	cause := failed.Unwrap()
	for next := errors.Unwrap(cause); next != nil; next = errors.Unwrap(cause) {
		cause = next
	}
	return locale.Errorf("%s %s: %w", failed.Service(), failed.Operation(), cause)
}

// Names are the stacks of hikyaku's in the account and region of a place.
func (p Place) Names(ctx context.Context) ([]string, error) {
	config, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	pages := cloudformation.NewDescribeStacksPaginator(cloudformation.NewFromConfig(config), &cloudformation.DescribeStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range page.Stacks {
			if slices.ContainsFunc(s.Outputs, func(o types.Output) bool { return aws.ToString(o.OutputKey) == "TokenRefreshFunctionName" }) {
				names = append(names, aws.ToString(s.StackName))
			}
		}
	}
	slices.Sort(names)
	return names, nil
}
