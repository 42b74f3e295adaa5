package clibase

import (
	"context"
	"errors"
	"time"

	"hikyaku/internal/locale"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// ErrGone says that AWS has no trigger that the stack made.
var ErrGone = locale.Errorf("somebody has deleted it")

// A Trigger is what starts work of a deployed stack, and can be switched off and on.
type Trigger interface {
	Enabled(ctx context.Context) (bool, error)
	// Enable switches on or off. Nothing is written if it is so already. When it
	// returns, no work begins any more, or it does again.
	Enable(ctx context.Context, on bool) error
}

// Caller is the ARN of who calls.
func (s *Stack) Caller(ctx context.Context) (string, error) {
	caller, err := sts.NewFromConfig(s.Config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", locale.Errorf("asking AWS who you are: %w", err)
	}
	return aws.ToString(caller.Arn), nil
}

// physical is the physical id of a resource, by its logical id.
func (s *Stack) physical(logical string) (string, error) {
	id := s.Resources[logical]
	if id == "" {
		return "", locale.Errorf("the stack %s has no %s: it is none of hikyaku's, not deployed to its end, or of another version", s.Name, logical)
	}
	return id, nil
}

// Schedule is one of the stack's schedules, by its logical id.
func (s *Stack) Schedule(logical string) (Trigger, error) {
	name, err := s.physical(logical)
	return schedule{scheduler.NewFromConfig(s.Config), name}, err
}

// A schedule belongs to the group default.
type schedule struct {
	client *scheduler.Client
	name   string
}

func (s schedule) get(ctx context.Context) (*scheduler.GetScheduleOutput, error) {
	got, err := s.client.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: &s.name})
	if _, gone := errors.AsType[*schedulertypes.ResourceNotFoundException](err); gone {
		err = ErrGone
	}
	if err != nil {
		return nil, locale.Errorf("reading the schedule %s: %w", s.name, err)
	}
	return got, nil
}

func (s schedule) Enabled(ctx context.Context) (bool, error) {
	got, err := s.get(ctx)
	return err == nil && got.State == schedulertypes.ScheduleStateEnabled, err
}

func (s schedule) Enable(ctx context.Context, on bool) error {
	got, err := s.get(ctx)
	if err != nil {
		return err
	}
	state := schedulertypes.ScheduleStateDisabled
	if on {
		state = schedulertypes.ScheduleStateEnabled
	}
	if got.State == state {
		return nil
	}
	if _, err := s.client.UpdateSchedule(ctx, rewritten(got, state)); err != nil {
		return locale.Errorf("changing the schedule %s: %w", s.name, err)
	}
	return nil
}

// rewritten is a schedule with another state. An update replaces all of it, so that
// every field has to be named.
func rewritten(s *scheduler.GetScheduleOutput, state schedulertypes.ScheduleState) *scheduler.UpdateScheduleInput {
	return &scheduler.UpdateScheduleInput{
		Name: s.Name, GroupName: s.GroupName, Description: s.Description, State: state,
		ScheduleExpression: s.ScheduleExpression, ScheduleExpressionTimezone: s.ScheduleExpressionTimezone,
		StartDate: s.StartDate, EndDate: s.EndDate, ActionAfterCompletion: s.ActionAfterCompletion,
		FlexibleTimeWindow: s.FlexibleTimeWindow, Target: s.Target, KmsKeyArn: s.KmsKeyArn,
	}
}

// Source is one of the stack's event source mappings, by its logical id.
func (s *Stack) Source(logical string) (Trigger, error) {
	id, err := s.physical(logical)
	return source{awslambda.NewFromConfig(s.Config), id}, err
}

type source struct {
	client *awslambda.Client
	id     string
}

// Pauses between looks at a source that changes, and how long it may.
const (
	firstLook  = 200 * time.Millisecond
	lastLook   = 5 * time.Second
	mostChange = 3 * time.Minute
)

// Enabled waits while the source changes: until then Lambda takes no other change.
func (s source) Enabled(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, mostChange)
	defer cancel()
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		got, err := s.client.GetEventSourceMapping(ctx, &awslambda.GetEventSourceMappingInput{UUID: &s.id})
		if _, gone := errors.AsType[*lambdatypes.ResourceNotFoundException](err); gone {
			err = ErrGone
		}
		if err != nil {
			return false, locale.Errorf("reading the event source mapping %s: %w", s.id, err)
		}
		switch state := aws.ToString(got.State); state {
		case "Enabled":
			return true, nil
		case "Disabled":
			return false, nil
		case "Creating", "Enabling", "Disabling", "Updating":
			select {
			case <-ctx.Done():
				return false, locale.Errorf("the event source mapping %s is %s still: %w", s.id, state, ctx.Err())
			case <-time.After(wait):
			}
		default:
			return false, locale.Errorf("the event source mapping %s is %s", s.id, state)
		}
	}
}

func (s source) Enable(ctx context.Context, on bool) error {
	enabled, err := s.Enabled(ctx)
	if err != nil || enabled == on {
		return err
	}
	if _, err := s.client.UpdateEventSourceMapping(ctx, &awslambda.UpdateEventSourceMappingInput{UUID: &s.id, Enabled: &on}); err != nil {
		return locale.Errorf("changing the event source mapping %s: %w", s.id, err)
	}
	enabled, err = s.Enabled(ctx)
	if err == nil && enabled != on {
		err = locale.Errorf("the event source mapping %s was changed by somebody else meanwhile", s.id)
	}
	return err
}
