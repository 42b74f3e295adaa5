package doctor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/doctor"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

var now = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// found are the findings of what was read of one source, by their ids.
func found(source doctor.Source, o doctor.Observations) map[string]doctor.Finding {
	o.Now, o.Skipped = now, map[doctor.Source]bool{}
	o.Place = doctor.Place{Stack: "shop", Hikyaku: "--stack shop", AWS: "--region r"}
	for _, k := range doctor.Kinds() {
		o.Skipped[k.Source] = k.Source != source
	}
	all := map[string]doctor.Finding{}
	for _, f := range doctor.Examine(o) {
		all[f.ID] = f
	}
	return all
}

func ids(all map[string]doctor.Finding) (names []string) {
	for id := range all {
		names = append(names, id)
	}
	slices.Sort(names)
	return names
}

// What is less grave hides nothing that is graver: the exit code follows the gravest.
func TestExamine_HidesNothingGraver(t *testing.T) {
	t.Parallel()
	ended := doctor.Credential{Provider: "yappli", Kind: providers.ClientCredentials, Served: true, ObtainedAt: now.Add(-time.Hour), Expires: now.Add(-time.Minute)}
	for outcome, want := range map[protocol.Outcome][]string{
		"": {"token.expired"}, protocol.Failed: {"token.expired", "token.failing"}, protocol.Cooling: {"token.expired", "token.failing"},
		protocol.Unconfigured: {"token.expired", "token.unconfigured"}, protocol.Refused: {"token.needs-human"},
	} {
		c := ended
		c.Outcome = outcome
		all := found(doctor.FromSecrets, doctor.Observations{Credentials: []doctor.Credential{c}})
		if !slices.Equal(ids(all), want) {
			t.Errorf("%q: %v, want %v", outcome, ids(all), want)
		}
		if next := all["token.expired"].Next; outcome == protocol.Unconfigured && next != "hikyaku connect yappli --stack shop" {
			t.Errorf("what only a person can renew: %s", next)
		}
	}
	for want, d := range map[string]doctor.Dataset{
		"export.old":   {Name: "yappli/users", Unfinished: "run", Covered: now.Add(-40 * time.Hour)},
		"export.doubt": {Name: "yappli/users", Unfinished: "run", Doubt: "s3://b/k", Covered: now},
	} {
		if got := ids(found(doctor.FromExports, doctor.Observations{Datasets: []doctor.Dataset{d}})); !slices.Equal(got, []string{want, "export.unfinished"}) {
			t.Errorf("%s beside a run that died: %v", want, got)
		}
	}
}

// A person copies the next command: what others have named is one word of it, and the
// flags with which the stack was found stand behind it.
func TestExamine_NextCanBeCopied(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"arn:aws:sns:r:1:a-b_c": "arn:aws:sns:r:1:a-b_c", "": "''", "my shop": "'my shop'",
		"$(reboot)": "'$(reboot)'", "it's; x": `'it'\''s; x'`, "a\nb": "'a\nb'",
	} {
		if got := doctor.Word(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	doubt := found(doctor.FromExports, doctor.Observations{Datasets: []doctor.Dataset{{Name: "yappli/users", Doubt: "s3://b/a b;reboot/_doubt.json", Covered: now}}})
	if got := doubt["export.doubt"]; got.Next != "hikyaku export accept 's3://b/a b;reboot/_doubt.json' --reason WHY" {
		t.Errorf("next is %s", got.Next)
	}
	if got := found(doctor.FromStack, doctor.Observations{Status: "UPDATE_COMPLETE", SamePrefix: []string{"second"}})["stack.shared-prefix"]; got.Next != "sam deploy --config-file samconfig.second.toml --region r" {
		t.Errorf("next is %s", got.Next)
	}
}

// A deployment that changes nothing leaves what was edited by hand.
func TestExamine_RewritesWhatWasEdited(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]string{"WARN": "INFO", "INFO": "WARN"} {
		all := found(doctor.FromFunctions, doctor.Observations{
			Parameters: map[string]string{"LogLevel": level, "TimeZone": "Asia/Tokyo"},
			Functions:  map[string]doctor.Function{"ExportFunction": {Vars: map[string]string{"HIKYAKU_TIME_ZONE": "Asia/Taipei"}}},
		})
		const deploy = "sam deploy --config-file samconfig.shop.toml --region r --parameter-overrides LogLevel="
		if got := all["settings.edited"].Next; got != deploy+want+" && "+deploy+level {
			t.Errorf("next is %s", got)
		}
	}
}

// An alarm whose actions somebody took away is seen, and when it rings nobody else says so.
func TestExamine_AlarmsThatTellNobody(t *testing.T) {
	t.Parallel()
	for description, want := range map[string][]string{
		"High: invented": {"alarm.high", "alarm.muted"},
		"High: invented; a part of RefreshStoppedAlarm, which tells people": nil,
	} {
		if got := ids(found(doctor.FromAlarms, doctor.Observations{Alarms: []doctor.Alarm{{Name: "a", Description: description, Rings: true}}})); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", description, got, want)
		}
	}
}

// However much a provider lists, a finding stays one that a person reads.
func TestExamine_NamesSomeOfMany(t *testing.T) {
	t.Parallel()
	hooks := doctor.Webhook{Ours: 1, Right: 1, Secret: true}
	for i := range 3000 {
		hooks.Elsewhere = append(hooks.Elsewhere, fmt.Sprintf("host%02d.example", i%30))
	}
	got := found(doctor.FromHooks, doctor.Observations{Webhook: hooks})["webhook.elsewhere"].Message
	if !strings.Contains(got, "host00.example, host01.example, ") || !strings.Contains(got, " host09.example and 20 more") || strings.Contains(got, "host10") {
		t.Errorf("%s", got)
	}
}
