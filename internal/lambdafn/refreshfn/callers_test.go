package refreshfn_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// ask sends an event to the function through an alias; none if it is empty.
func (s *stack) ask(alias, event string) (string, error) {
	s.t.Helper()
	arn := "arn:aws:lambda:ap-northeast-1:000000000000:function:tokenrefresh"
	if alias != "" {
		arn += ":" + alias
	}
	answer, err := s.function.Invoke(lambdacontext.NewContext(s.t.Context(), &lambdacontext.LambdaContext{InvokedFunctionArn: arn}), []byte(event))
	return string(answer), err
}

// Every event through every alias. A refusal says what was asked for, through which
// alias, and what to do; it makes no token.
func TestInvoke_EachEventThroughEachAlias(t *testing.T) {
	t.Parallel()
	const (
		schedule, readers, rotation, operator, watch, none, latest = localstack.Schedule, localstack.Readers, localstack.Rotation, localstack.Operator, localstack.Watch, "", "$LATEST"

		candidate      = "5f0c0c1e-6a43-4f0e-9d59-00000000000c"
		pending, other = "5f0c0c1e-6a43-4f0e-9d59-000000000001", "5f0c0c1e-6a43-4f0e-9d59-000000000009"

		toSchedule = `a schedule's event must come through the alias "schedule"`
		toReaders  = `a request for one provider must come through the alias "readers"`
		toRotation = `a rotation step must come through the alias "rotation"`
		toWatch    = `a look at the pauses must come through the alias "watch"`
		toOperator = `a person's operation must come through the alias "operator"`
		toPeople   = "an event must not force; people do, with 'hikyaku tokens refresh PROVIDER --force'"
		unknown    = "the event is of another kind; expected a schedule"
	)
	step := func(name, version string) string {
		return `{"SecretId":"hikyaku/yappli/token","ClientRequestToken":"` + version + `","Step":"` + name + `"}`
	}
	for name, c := range map[string]struct {
		event   string
		takers  []string // the aliases that take it
		refusal string   // of all others
	}{
		"schedule":                     {`{"source":"aws.scheduler"}`, []string{schedule, none, latest}, toSchedule},
		"rule of EventBridge":          {`{"source":"aws.events","detail-type":"Scheduled Event"}`, []string{schedule, none, latest}, toSchedule},
		"request":                      {`{"provider":"yappli"}`, []string{readers, none, latest}, toReaders},
		"request, rejected version":    {`{"provider":"yappli","rejected_version":"x"}`, []string{readers, none, latest}, toReaders},
		"look at the pauses":           {`{"action":"watch_pauses"}`, []string{watch}, toWatch},
		"createSecret":                 {step("createSecret", pending), []string{rotation}, toRotation},
		"setSecret":                    {step("setSecret", pending), []string{rotation}, toRotation},
		"testSecret":                   {step("testSecret", pending), []string{rotation}, toRotation},
		"finishSecret":                 {step("finishSecret", pending), []string{rotation}, toRotation},
		"createSecret of another":      {step("createSecret", other), nil, ""},
		"finishSecret of another":      {step("finishSecret", other), nil, ""},
		"force":                        {`{"provider":"yappli","force":true}`, nil, toPeople},
		"force of a schedule's event":  {`{"source":"aws.scheduler","force":true}`, nil, toPeople},
		"force of a step":              {`{"force":true,` + step("createSecret", pending)[1:], nil, toPeople},
		"a person's look":              {`{"operation":"refresh","provider":"yappli"}`, []string{operator}, toOperator},
		"a person's force":             {`{"operation":"refresh","provider":"yappli","force":true}`, []string{operator}, toOperator},
		"a person's probe":             {`{"operation":"probe"}`, []string{operator}, toOperator},
		"a candidate":                  {`{"operation":"connect","provider":"yappli","version":"` + candidate + `","base":"$BASE"}`, []string{operator}, toOperator},
		"operation with a source":      {`{"source":"aws.scheduler","operation":"probe"}`, []string{operator}, toOperator},
		"unknown operation":            {`{"operation":"unheard-of"}`, nil, ""},
		"no candidate":                 {`{"operation":"connect","provider":"yappli","version":"` + other + `","base":"` + other + `"}`, nil, ""},
		"authorize, which is no event": {`{"authorize":"yappli","code":"x"}`, nil, unknown},
		"nothing":                      {`{}`, nil, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := ""
			fresh := func() *stack {
				s := newStack(t)
				s.outcomes(s.ask(schedule, `{"source":"aws.scheduler"}`))
				_, err := s.AWS.Secrets.Rotate(t.Context(), localstack.Prefix+"/yappli/token", pending, rotationAlias)
				s.must(err)
				connection := localstack.Prefix + "/yappli/connection"
				before, err := s.AWS.Secrets.Get(t.Context(), connection, secretstore.Current)
				s.must(err)
				s.must(s.AWS.Secrets.Put(t.Context(), connection, candidate, before.Data, protocol.Candidate))
				base = before.ID
				if name == "finishSecret" {
					_, err := s.ask(rotation, step("createSecret", pending))
					s.must(err)
				}
				return s
			}
			var s *stack // until an event is taken: a refusal changes nothing
			for _, alias := range []string{schedule, readers, rotation, operator, watch, none, latest, "7", "unheard-of"} {
				if s == nil {
					s = fresh()
				}
				made, served, refusals := s.Yappli().Count("POST /api/ext/token"), s.token(providers.Yappli).Version, strings.Count(s.logged(), "event refused")
				_, err := s.ask(alias, strings.ReplaceAll(c.event, "$BASE", base))
				if slices.Contains(c.takers, alias) {
					s.must(err)
					s = nil
					continue
				}
				want, byAlias := c.refusal, c.refusal == ""
				switch operation := strings.Contains(c.event, "operation"); {
				case byAlias && operation && alias == operator:
					want, byAlias = map[string]string{"unknown operation": "known are connect, refresh, probe", "no candidate": "reading the candidate for hikyaku/yappli/connection"}[name], false
				case byAlias && operation:
					want = toOperator
				case byAlias && alias == rotation:
					want, byAlias = "the version that the secret shows as AWSPENDING; "+other+" is none", false
				case byAlias:
					want = toRotation
				default:
					byAlias = strings.Contains(want, "through the alias")
				}
				if err == nil || !strings.Contains(err.Error(), want) || byAlias && !strings.Contains(err.Error(), named(alias)) {
					t.Errorf("through %q: %v, want %q of %s", alias, err, want, named(alias))
				}
				if byAlias && strings.Count(s.logged(), "event refused") == refusals {
					t.Errorf("through %q: the log does not have the refusal", alias)
				}
				if s.Yappli().Count("POST /api/ext/token") != made || s.token(providers.Yappli).Version != served {
					t.Errorf("through %q: refused, and a token was made", alias)
				}
			}
		})
	}
}

// named is how a refusal names the caller.
func named(alias string) string {
	if alias == "" || alias == "$LATEST" {
		return "not without an alias"
	}
	return `not through "` + alias + `"`
}

// A caller of before the aliases is served and finds a warning; one with an alias does
// not.
func TestInvoke_WarnsOfCallersWithoutAnAlias(t *testing.T) {
	t.Parallel()
	for alias, warned := range map[string]bool{"": true, localstack.Readers: false} {
		s := newStack(t)
		s.outcomes(s.ask(alias, `{"provider":"supersaas"}`))
		if strings.Contains(s.logged(), "invoked without an alias") != warned {
			t.Errorf("through %q: %s", alias, s.logged())
		}
	}
}

// A reader whose budget is used up is told so, and what it holds goes on being served.
func TestReader_IsToldThatItsBudgetIsUsedUp(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.must(s.AWS.Register(awslocal.Function{Name: localstack.TokenRefresh, Aliases: localstack.Aliases(localstack.TokenRefresh), Handler: s.function, Timeout: time.Minute}))
	s.outcomes(s.ask(localstack.Schedule, `{"source":"aws.scheduler"}`))
	e := lambdafn.Environ{Vars: s.Vars(localstack.Relay), Out: s}
	settings, err := lambdafn.Load[refreshfn.Settings](e)
	s.must(err)
	source := lambdafn.Open(e, settings.Common).Tokens(providers.Yappli)
	for n := range 13 {
		token, err := source.Token(t.Context())
		s.must(err)
		next, err := source.Rejected(t.Context(), token)
		switch {
		case n < 12 && (err != nil || next.Version == token.Version):
			t.Fatalf("replacement %d: version %s after %s, %v", n+1, next.Version, token.Version, err)
		case n == 12 && (err == nil || !strings.Contains(err.Error(), "over_budget: functions that rejected tokens have had 12 versions")):
			t.Errorf("after 12 replacements: %v", err)
		}
	}
	s.works(providers.Yappli)
}
