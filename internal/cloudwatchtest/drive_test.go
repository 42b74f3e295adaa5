package cloudwatchtest_test

import (
	"slices"
	"testing"
	"time"

	"hikyaku/internal/cloudwatchtest"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
)

// A drive brings alarms from their cause to ALARM, where they stay while it lasts, and by
// its end back to OK. What happens once, such as a webhook that is refused, ends by itself.
type drive struct {
	cause string
	rings []string // all that ring, in the order of their names
	run   func(s *shop)
}

// watched are the alarms whose drives 'go test' runs. Those that let others ring, too, are
// left to .ci/run.
var watched = append(slices.Clone(ages),
	"RefreshNeedsHumanAlarm", "RefreshStoppedAlarm", "QueueAgeAlarm", "DeadLettersAlarm", "WebhookRefusedAlarm", "ExportDoubtAlarm", "ExportFailedAlarm")

const (
	soon = 20 * time.Minute // what is evaluated once in five minutes has rung, or ended
	hour = time.Hour
)

func drives() []drive { return slices.Concat(tokenDrives, relayDrives, exportDrives) }

// Each alarm rings for its cause, alone, and ends with it; the runbook's query for it
// finds the cause. No alarm of the other stack in the account moves.
func TestAlarms_RingForTheirCauseAndEndWithIt(t *testing.T) {
	t.Parallel()
	looks := looks(t)
	if len(looks) < 30 {
		t.Errorf("the runbook has queries for %d alarms", len(looks))
	}
	for _, d := range drives() {
		t.Run(d.cause, func(t *testing.T) {
			t.Parallel()
			if slices.ContainsFunc(d.rings, func(alarm string) bool { return !slices.Contains(watched, alarm) }) {
				prove.Heavy(t)
			}
			inShops(t, nil, func(s, other *shop) {
				d.run(s)
				s.becomes(cloudwatchtest.OK, 4*hour, d.rings...)
				if got := s.rang(); !slices.Equal(got, d.rings) {
					t.Errorf("%v rang, want %v", got, d.rings)
				}
				s.isExplained(looks, d)
				if got := other.rang(); len(got) > 0 {
					t.Errorf("%v of another stack rang", got)
				}
			})
		})
	}
}

// Every alarm that tells people is driven. One without an action is a part of a composite
// alarm, and is driven with that.
func TestDrives_NameEveryAlarm(t *testing.T) {
	t.Parallel()
	var driven, often []string
	for _, d := range drives() {
		driven = append(driven, d.rings...)
		if !slices.ContainsFunc(d.rings, func(alarm string) bool { return !slices.Contains(watched, alarm) }) {
			often = append(often, d.rings...)
		}
	}
	template := prove.ReadTemplate(t, root)
	for _, alarm := range slices.Concat(template.Resources("AWS::CloudWatch::Alarm"), template.Resources("AWS::CloudWatch::CompositeAlarm")) {
		if !slices.Contains(driven, alarm) && template.At("Resources", alarm, "Properties", "AlarmActions") != nil {
			t.Errorf("no drive lets %s ring: add one to drives()", alarm)
		}
	}
	for _, alarm := range watched {
		if !slices.Contains(often, alarm) {
			t.Errorf("'go test' lets %s ring no longer", alarm)
		}
	}
}

// Two stacks at work in one account: what goes wrong in one is told by its alarms alone.
func TestAlarms_OfTwoStacksAreApart(t *testing.T) {
	t.Parallel()
	inShops(t, nil, func(s, other *shop) {
		s.open()
		other.open()
		faults(s)
		other.changes("山田 一")
		s.becomes(cloudwatchtest.Alarm, soon, "RefreshNeedsHumanAlarm", "WrongSecretAlarm", "DeadLettersAlarm")
		if got := other.rang(); len(got) > 0 {
			t.Errorf("%v of the other stack rang", got)
		}
	})
}

// The same where neither metrics nor alarms know the stack: the other one rings too.
func TestAlarms_WithoutTheStackRingForBoth(t *testing.T) {
	t.Parallel()
	forget := func(template prove.Template) {
		for _, alarm := range []string{"RefreshNeedsHumanAlarm", "WrongSecretAlarm"} {
			properties := template.At("Resources", alarm, "Properties").(map[string]any)                      //nolint:forcetypeassert // of every alarm
			properties["Dimensions"] = slices.DeleteFunc(properties["Dimensions"].([]any), func(d any) bool { //nolint:forcetypeassert // the same
				return d.(map[string]any)["Name"] == "stack" //nolint:forcetypeassert // the same
			})
		}
	}
	inShops(t, forget, func(s, other *shop) {
		s.set(map[string]string{"HIKYAKU_STACK": ""})
		s.open()
		faults(s)
		other.becomes(cloudwatchtest.Alarm, soon, "RefreshNeedsHumanAlarm", "WrongSecretAlarm")
	})
}

// faults are several of one stack at once.
func faults(s *shop) {
	wrong := s.connection(providers.Yappli)
	wrong.ClientSecrets = []providers.Secret{providers.NewSecret("wrong-secret")}
	s.put(providers.Yappli, "connection", wrong.Document())
	for range 3 {
		s.webhook("a-guess", webhook)
	}
	s.poison()
}
