// Package clibase opens the same base as the functions for the command line,
// where credentials come from the SDK's whole chain: environment, profiles,
// single sign-on.
package clibase

import (
	"context"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/locale"
)

// own begins the names of the functions' settings, but those that Lambda sets.
const own = "HIKYAKU_"

// Settings are what a command needs to find a stack.
type Settings struct{ lambdafn.Common }

// A Place says where a command finds its stack.
type Place struct {
	Stack          string // name; empty: prefix and bucket, or the environment, say it
	Prefix, Bucket string // if not empty, in the place of every other
	Profile        string // of the AWS configuration; empty: the SDK's chain
	Region         string // empty: the SDK's chain
}

// An Opened is an environment, and the stack that it is of.
type Opened struct {
	lambdafn.Environ

	Stack *Stack // nil: none was named
}

// Environ completes the process's environment: region and credentials are resolved
// by the SDK's chain, and the settings are those of the stack's function, by its
// logical id, if the place names a stack.
func (p Place) Environ(ctx context.Context, function string) (Opened, error) {
	o, err := p.Find(ctx)
	if err != nil {
		return o, err
	}
	if o.Stack != nil {
		settings, err := o.Stack.Settings(ctx, function)
		if err != nil {
			return o, err
		}
		o.Environ = o.Of(settings)
	}
	return o, nil
}

// Of is the environment with a function's settings in the place of this shell's.
func (o Opened) Of(settings map[string]string) lambdafn.Environ {
	e := o.Environ
	e.Vars = maps.Clone(o.Vars)
	// What the function does not set has its default there. A variable of this
	// shell may be of another stack.
	maps.DeleteFunc(e.Vars, func(key, _ string) bool { return strings.HasPrefix(key, own) })
	maps.Copy(e.Vars, settings)
	return e
}

// Find resolves region and credentials, and finds the stack, if the place names one.
// The settings are still this shell's.
func (p Place) Find(ctx context.Context) (Opened, error) {
	o := Opened{Environ: lambdafn.OSEnviron()}
	o.Vars = maps.Clone(o.Vars)
	resolved, err := p.load(ctx)
	if err != nil {
		return o, err
	}
	credentials, err := resolved.Credentials.Retrieve(ctx)
	if err != nil {
		return o, locale.Errorf("no AWS credentials: set AWS_PROFILE, or run 'aws configure' or 'aws sso login' (%w)", err)
	}
	if p.Stack != "" {
		if o.Stack, err = FindStack(ctx, resolved, p.Stack); err != nil {
			return o, err
		}
	}
	for name, value := range map[string]string{
		"AWS_REGION": resolved.Region, "AWS_ACCESS_KEY_ID": credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": credentials.SecretAccessKey,
		"HIKYAKU_PREFIX":        p.Prefix, "HIKYAKU_BUCKET": p.Bucket,
	} {
		if value != "" {
			o.Vars[name] = value
		}
	}
	o.Vars["AWS_SESSION_TOKEN"] = credentials.SessionToken // also an empty one: that of the environment belongs to another key
	return o, nil
}

func (p Place) load(ctx context.Context) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})} // an error says what has failed
	if p.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(p.Profile))
	}
	if p.Region != "" {
		options = append(options, config.WithRegion(p.Region))
	}
	resolved, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return resolved, locale.Errorf("resolving the AWS configuration: %w", err)
	}
	if resolved.Region == "" {
		return resolved, locale.Errorf("no AWS region: use --region, set AWS_REGION, or a region in the profile that --profile or AWS_PROFILE names")
	}
	return resolved, nil
}

// Open opens the base of the stack that e names.
func Open(e lambdafn.Environ) (*lambdafn.Base, error) {
	settings, err := lambdafn.Load[Settings](e)
	if err != nil {
		return nil, err
	}
	return lambdafn.Open(e, settings.Common), nil
}
