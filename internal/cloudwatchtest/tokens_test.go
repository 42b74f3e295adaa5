package cloudwatchtest_test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/cloudwatchtest"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/pause"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// connection is what a person would configure for a provider's sandbox.
func (s *shop) connection(provider string) providers.Connection {
	return s.sandboxes[provider].Connection("https://" + provider + ".test")
}

// app is the connection of a SHOPLINE app, approved just now.
func (s *shop) app() providers.Connection {
	return s.sandboxes[providers.SHOPLINE].(*shoplinetest.Server).AppConnection("https://shopline.test") //nolint:forcetypeassert // NewSandbox made it
}

var lives = regexp.MustCompile(`"(expires_in|refresh_expires_in|expireTime)":[^,}]*|[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)

// endless lets a provider's token endpoint tell no end: neither in the answer nor in a
// token that could be read.
func (s *shop) endless(provider string, r *http.Request) *http.Response {
	if r.URL.Host != provider+".test" || r.Method != http.MethodPost || !strings.Contains(r.URL.Path, "token") {
		return nil
	}
	answer, err := s.sandboxes[provider].Client().Transport.RoundTrip(r)
	s.must(err)
	body, err := io.ReadAll(answer.Body)
	s.must(err)
	body = lives.ReplaceAllFunc(body, func(found []byte) []byte {
		if key, _, isLife := bytes.Cut(found, []byte(":")); isLife {
			return append(key, ":null"...)
		}
		return []byte("invented-token-that-tells-nothing")
	})
	return says(r, answer.StatusCode, string(body))
}

// unknown drives the expiry of a provider's token that nobody tells.
func unknown(provider, alarm string) drive {
	return drive{"no end of the token of " + provider + " is told", []string{alarm}, func(s *shop) {
		connection := func() providers.Connection {
			if provider == providers.SHOPLINE {
				return s.app() // whose tokens end, unlike a person's
			}
			return s.connection(provider)
		}
		s.put(provider, "connection", connection().Document())
		s.instead = func(_ string, r *http.Request) *http.Response { return s.endless(provider, r) }
		s.start()
		s.becomes(cloudwatchtest.Alarm, hour, alarm)
		s.instead = nil
		c := connection()
		c.ClientSecrets = append(c.ClientSecrets, providers.NewSecret("next-client-secret")) // a changed connection is due at once
		s.put(provider, "connection", c.Document())
	}}
}

var tokenDrives = []drive{
	{"a client secret that the provider refuses", []string{"RefreshNeedsHumanAlarm"}, func(s *shop) {
		wrong := s.connection(providers.Yappli)
		wrong.ClientSecrets = []providers.Secret{providers.NewSecret("wrong-secret")}
		s.put(providers.Yappli, "connection", wrong.Document())
		s.start()
		s.becomes(cloudwatchtest.Alarm, soon, "RefreshNeedsHumanAlarm")
		s.stays(hour, "RefreshNeedsHumanAlarm")
		s.put(providers.Yappli, "connection", s.connection(providers.Yappli).Document())
	}},
	{"the schedule no longer calls", []string{"RefreshStoppedAlarm"}, func(s *shop) {
		s.quiet = true
		s.start()
		s.pass(hour) // a new stack without its first tick
		if rang := s.rang(); len(rang) > 0 {
			s.Errorf("%v rings before the first tick", rang)
		}
		s.quiet = false
		s.pass(hour)
		s.quiet = true
		s.becomes(cloudwatchtest.Alarm, soon, "RefreshStoppedAlarm")
		s.quiet = false
	}},
	{"tokens are paused for two hours, and resumed an hour late", []string{"PauseAlarm", "PauseOverdueAlarm", "RefreshStoppedAlarm", "TokensPausedAlarm"}, func(s *shop) {
		s.start()
		s.pass(hour)
		objects := lambdafn.Open(lambdafn.Environ{AWS: s.aws.Client().Transport}, lambdafn.Common{
			Prefix: "t", Bucket: awslocal.Bucket, Region: awslocal.Region, Endpoint: s.aws.URL, KeyID: "local", SecretKey: providers.NewSecret("local"),
		}).Objects
		now := time.Now()
		_, err := pause.Begin(s.ctx, objects, "t", map[string][]string{pause.Tokens: nil}, pause.Pause{By: "山田", Reason: "a test", Since: now, Until: now.Add(2 * hour)})
		s.must(err)
		s.quiet = true
		s.becomes(cloudwatchtest.Alarm, soon, "PauseAlarm")
		s.stays(time.Until(now.Add(2*hour)), "PauseAlarm", "TokensPausedAlarm")
		if rang := s.rang(); !slices.Equal(rang, []string{"PauseAlarm", "TokensPausedAlarm"}) {
			s.Errorf("%v rang during the pause", rang)
		}
		s.becomes(cloudwatchtest.Alarm, hour, "PauseOverdueAlarm", "RefreshStoppedAlarm")
		state, err := pause.Read(s.ctx, objects, "t")
		s.must(err)
		_, err = pause.End(s.ctx, objects, "t", state, []string{pause.Tokens})
		s.must(err)
		s.quiet = false
	}},
	{"a provider is down for 40 minutes when its token is due", []string{"RefreshErrorsAlarm"}, func(s *shop) {
		s.sandboxes[providers.Yappli].Inject(sandbox.Fault{Kind: sandbox.ServerFail, Times: -1})
		s.start()
		s.becomes(cloudwatchtest.Alarm, 45*time.Minute, "RefreshErrorsAlarm")
		s.sandboxes[providers.Yappli].SetFaults(sandbox.Faults{})
	}},
	{"ticks find no concurrency left", []string{"RefreshThrottledAlarm"}, func(s *shop) {
		s.slots[localstack.TokenRefresh] = 1
		s.start()
		s.pass(10 * time.Minute)
		s.aws.Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: 70 * time.Second, Route: "secretsmanager", Times: -1})
		s.becomes(cloudwatchtest.Alarm, 25*time.Minute, "RefreshThrottledAlarm")
		s.aws.ClearFaults()
	}},
	{"Yappli's token endpoint is down for 18 hours", []string{"RefreshErrorsAlarm", "YappliExpiryAlarm"}, func(s *shop) {
		s.cadence = 5 * time.Minute
		s.start()
		s.pass(hour)
		s.sandboxes[providers.Yappli].Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "POST /api/ext/token", Times: -1})
		s.becomes(cloudwatchtest.Alarm, 19*hour, "YappliExpiryAlarm")
		s.stays(2*hour, "YappliExpiryAlarm")
		s.sandboxes[providers.Yappli].SetFaults(sandbox.Faults{})
	}},
	{"ActiBookOne's token endpoint is down for 27 minutes", []string{"ActiBookExpiryAlarm"}, func(s *shop) {
		s.start()
		s.pass(5 * time.Minute)
		s.sandboxes[providers.ActiBook].Inject(sandbox.Fault{Kind: sandbox.ServerFail, Times: -1})
		s.becomes(cloudwatchtest.Alarm, 30*time.Minute, "ActiBookExpiryAlarm")
		s.sandboxes[providers.ActiBook].SetFaults(sandbox.Faults{})
	}},
	{"a person's SHOPLINE token ends in six days", []string{"ShoplineExpiryAlarm"}, func(s *shop) {
		ending := s.connection(providers.SHOPLINE)
		ending.ExpiresAt = time.Now().Add(6 * 24 * hour)
		s.put(providers.SHOPLINE, "connection", ending.Document())
		s.start()
		s.becomes(cloudwatchtest.Alarm, hour, "ShoplineExpiryAlarm")
		s.stays(6*hour, "ShoplineExpiryAlarm")
		ending.ExpiresAt = time.Now().Add(365 * 24 * hour)
		s.put(providers.SHOPLINE, "connection", ending.Document())
	}},
	unknown(providers.Yappli, "YappliExpiryUnknownAlarm"),
	unknown(providers.ActiBook, "ActiBookExpiryUnknownAlarm"),
	unknown(providers.SHOPLINE, "ShoplineExpiryUnknownAlarm"),
}
