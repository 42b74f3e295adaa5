package provetokens

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// through invokes the trial's function by one of its aliases; by none if it is empty.
func (x *trial) through(alias string, event []byte) ([]byte, error) {
	arn := "arn:aws:lambda:ap-northeast-1:000000000000:function:" + localstack.TokenRefresh
	if alias != "" {
		arn += ":" + alias
	}
	return invoke(lambdacontext.NewContext(x.t.Context(), &lambdacontext.LambdaContext{InvokedFunctionArn: arn}), x.function, event)
}

// A siege is a day, or less in the short forms, in which a function asks for all that it may ask for, and for all
// that it may not, each minute between two of the schedule's ticks.
type siege struct {
	*trial

	refused, asked int // events of the function
	dead           int // minutes at whose end no working token was served
	denied         int // ticks that found the schedule's budget used up
}

func (s *siege) run(hostile bool) {
	var versions []string // that were served, the newest last
	for minute := range size(25*60, prove.Sample(3*60, 45)) {
		time.Sleep(30 * time.Second)
		if answer, err := s.through(localstack.Schedule, schedule); strings.Contains(string(answer)+fmt.Sprint(err), "over_budget") || s.overBudget() {
			s.denied++
		}
		token, err := served(s.t, s.aws.Secrets, "shop", s.provider)
		if err != nil || !valid(s.sandboxes[s.provider], token) {
			s.dead++
		}
		if len(versions) == 0 || versions[len(versions)-1] != token.Version {
			versions = append(versions, token.Version)
		}
		time.Sleep(30 * time.Second)
		if hostile {
			s.ask([]string{localstack.Readers, ""}[minute%2], versions)
		}
	}
}

// ask sends every event that a reader of the token secret can think of.
func (s *siege) ask(alias string, versions []string) {
	now, _ := served(s.t, s.aws.Secrets, "shop", s.provider)
	events := [][]byte{
		rejected(s.provider, now.Version), rejected(s.provider, versions[0]), rejected(s.provider, "none"), []byte(`{"provider":"` + s.provider + `"}`),
		fmt.Appendf(nil, `{"provider":%q,"force":true}`, s.provider), schedule, []byte(`{"source":"aws.events","force":true}`), []byte(`{}`),
	}
	for _, part := range []string{secretstore.TokenPart, secretstore.RefreshPart} {
		name := secretstore.Name("shop", s.provider, part)
		for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
			for _, version := range []string{now.Version, s.holder(name, secretstore.Pending), uuid.NewString()} {
				event, _ := json.Marshal(map[string]string{"SecretId": name, "ClientRequestToken": version, "Step": step}) // texts
				events = append(events, event)
			}
		}
	}
	for _, event := range events {
		s.asked++
		if _, err := s.through(alias, event); err != nil {
			s.refused++
		}
	}
}

// holder is the version that a stage of a secret stands on; empty if there is none.
func (s *siege) holder(name, stage string) string {
	shown, err := s.aws.Secrets.Describe(s.t.Context(), name)
	if err != nil {
		return ""
	}
	v, _ := shown.Holder(stage)
	return v.ID
}

// overBudget reads what the last run left behind.
func (s *siege) overBudget() bool {
	outcome, _, reason, err := s.function.Refresher().State(s.t.Context(), s.provider)
	if err != nil {
		s.t.Fatal(err)
	}
	return outcome == "over_budget" && strings.HasPrefix(reason, "the schedule")
}

// TestProveHostileReader lets a reader ask without end. The schedule keeps
// a working token there as it does without that reader.
func TestProveHostileReader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, provider string
		change         func(*rig, *providers.Connection)
		rotated        string // the part of the secret that Secrets Manager rotates
	}{
		{providers.Yappli, providers.Yappli, nil, ""},
		{providers.ActiBook, providers.ActiBook, nil, ""},
		{"SHOPLINE app", providers.SHOPLINE, appWith(nil), ""},
		{providers.AssistTencho, providers.AssistTencho, nil, ""},
		{providers.SuperSaaS, providers.SuperSaaS, nil, ""},
		{"actibook, rotated", providers.ActiBook, nil, secretstore.TokenPart},
		{"SHOPLINE app, rotated", providers.SHOPLINE, appWith(nil), secretstore.RefreshPart},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, hostile := range []bool{false, true} {
				inTrial(t, c.provider, c.change, func(x *trial) {
					if c.rotated != "" {
						x.rotate(c.rotated)
					}
					s := &siege{trial: x}
					s.run(hostile)
					figure(t, s.dead+s.denied == 0, fmt.Sprintf("%s, hostile reader: %t, minutes without a working token and ticks without a budget", c.name, hostile), "0, 0",
						"%d, %d; %d events asked, %d refused", s.dead, s.denied, s.asked, s.refused)
				})
			}
		})
	}
}

// rotate lets Secrets Manager drive a secret of the trial's.
func (x *trial) rotate(part string) {
	x.t.Helper()
	x.tick()

	err := x.aws.Register(awslocal.Function{Name: localstack.TokenRefresh, Aliases: localstack.Aliases(localstack.TokenRefresh), Handler: x.function, Timeout: 2 * time.Minute})
	if err != nil {
		x.t.Fatal(err)
	}
	name, version := secretstore.Name("shop", x.provider, part), uuid.NewString()
	secrets := x.aws.Secrets
	if _, err := secrets.Rotate(x.t.Context(), name, version, refresherAlias(localstack.Rotation)); err != nil {
		x.t.Fatal(err)
	}
	if err := secrets.Promote(x.t.Context(), name, secretstore.Pending, "", version); err != nil { // the first is not made
		x.t.Fatal(err)
	}
}
