package main

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
)

const tick = `  TokenRefreshTick:
    Type: AWS::Scheduler::Schedule
    DependsOn: [$]
    Properties:
      # Names what is made only with a network, for which nothing may wait by name.
      Description: !If [OwnNetwork, !Sub "Looks at every token, by ${PrivateRoutesOfSubnet} and ${PrivateRoute}", Looks at every token]
      # While all is well, four of five ticks call nothing.
      ScheduleExpression: rate(1 minute)
      FlexibleTimeWindow: {Mode: "OFF"}
      Target:
        Arn: !Ref TokenRefreshScheduleAlias
        RoleArn: !GetAtt TokenRefreshTickRole.Arn
        Input: '{"source":"aws.scheduler"}'
        RetryPolicy: {MaximumRetryAttempts: 0}
`

var resource = regexp.MustCompile(`(?m)^  (\w+):\n    Type: (\S+)$`)

const width = 100

// firstSchedule is the schedule for which the others wait. It waits itself for all
// that is no schedule, is always made, and that it does not name, so that nothing is
// called while the stack is half made or half updated.
func firstSchedule(template []byte) (string, error) {
	_, resources, found := bytes.Cut(template, []byte("\nResources:\n"))
	if !found {
		return "", errors.New("no Resources")
	}
	resources, _, _ = bytes.Cut(resources, []byte("\nOutputs:\n"))
	var b strings.Builder
	column := len("    DependsOn: [")
	all := resource.FindAllSubmatchIndex(resources, -1)
	for i, match := range all {
		name, kind, rest := string(resources[match[2]:match[3]]), string(resources[match[4]:match[5]]), resources[match[1]:]
		if i+1 < len(all) {
			rest = resources[match[1]:all[i+1][0]]
		}
		if kind == "AWS::Scheduler::Schedule" || bytes.Contains(rest, []byte("\n    Condition: ")) || strings.Contains(tick, name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(",")
			column += 2
			if column+len(name) > width {
				b.WriteString("\n     ")
				column = len("      ")
			}
			b.WriteString(" ")
		}
		b.WriteString(name)
		column += len(name)
	}
	return strings.Replace(tick, "$", b.String(), 1), nil
}
