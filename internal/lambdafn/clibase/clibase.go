// Package clibase opens the same base as the functions for the command line,
// where credentials come from the SDK's whole chain: environment, profiles,
// single sign-on.
package clibase

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/aws/aws-sdk-go-v2/config"

	"hikyaku/internal/lambdafn"
)

// Settings are what a command needs to find a stack.
type Settings struct{ lambdafn.Common }

// Environ completes the process's environment: region and credentials are
// resolved by the SDK's chain, and prefix and bucket, if not empty, replace
// HIKYAKU_PREFIX and HIKYAKU_BUCKET.
func Environ(ctx context.Context, prefix, bucket string) (lambdafn.Environ, error) {
	e := lambdafn.OSEnviron()
	e.Vars = maps.Clone(e.Vars)
	resolved, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return e, fmt.Errorf("resolving the AWS configuration: %w", err)
	}
	if resolved.Region == "" {
		return e, errors.New("no AWS region: set AWS_REGION, or a region in the profile that AWS_PROFILE names")
	}
	credentials, err := resolved.Credentials.Retrieve(ctx)
	if err != nil {
		return e, errors.New("no AWS credentials: set AWS_PROFILE, or run 'aws configure' or 'aws sso login'")
	}
	for name, value := range map[string]string{
		"AWS_REGION": resolved.Region, "AWS_ACCESS_KEY_ID": credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": credentials.SecretAccessKey, "AWS_SESSION_TOKEN": credentials.SessionToken,
		"HIKYAKU_PREFIX": prefix, "HIKYAKU_BUCKET": bucket,
	} {
		if value != "" {
			e.Vars[name] = value
		}
	}
	return e, nil
}

// Open opens the base of the stack that e names.
func Open(e lambdafn.Environ) (*lambdafn.Base, error) {
	settings, err := lambdafn.Load[Settings](e)
	if err != nil {
		return nil, err
	}
	return lambdafn.Open(e, settings.Common), nil
}
