package protocol_test

import (
	"fmt"
	"time"

	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// situations are those of the table: each kind of credential, each reason to act, each
// goal, and what an earlier run may have left behind.
func situations() []situation {
	yappli := situation{provider: providers.Yappli, kind: providers.ClientCredentials, life: day}
	app := situation{provider: providers.SHOPLINE, kind: providers.OneTimePair, life: 182 * day}
	code := situation{provider: providers.AssistTencho, kind: providers.OneTimeCode}
	staff := situation{provider: providers.SHOPLINE, kind: providers.Static}
	var list []situation
	add := func(name string, s situation, changes ...func(*situation)) {
		s.name = name
		for _, change := range changes {
			change(&s)
		}
		list = append(list, s)
	}
	aged := func(age time.Duration) func(*situation) { return func(s *situation) { s.age = age } }
	first := func(s *situation) { s.none = true }
	force := func(s *situation) { s.task.Request = protocol.Request{Provider: s.provider, Force: true} }
	resend := func(s *situation) { force(s); s.task.Request.ResendInDoubt = true }
	rejected := func(version string) func(*situation) {
		return func(s *situation) {
			s.task.Request = protocol.Request{Provider: s.provider, RejectedVersion: version}
		}
	}
	rotates := func(goal protocol.Goal) func(*situation) {
		return func(s *situation) {
			s.task.Goal, s.task.Version, s.task.Part = goal, pendingID, protocol.TokenSecret
			if s.kind != providers.ClientCredentials {
				s.task.Part = protocol.RefreshSecret
			}
		}
	}
	journal := func(change func(*protocol.Journal)) func(*situation) {
		return func(s *situation) { s.journal = change }
	}
	connection := func(change func(*providers.Connection)) func(*situation) {
		return func(s *situation) { s.connection = change }
	}
	grant := func(change func(*providers.Grant)) func(*situation) {
		return func(s *situation) { s.grant = change }
	}
	bare := grant(func(g *providers.Grant) { g.Refresh = providers.Secret{} })
	doubt := journal(func(j *protocol.Journal) {
		j.Intent = &protocol.Intent{Base: recordID, Key: fingerprint("refresh-1"), At: now.Add(-day)}
	})
	full := journal(func(j *protocol.Journal) {
		for range 80 {
			j.Writes, j.Forced = append(j.Writes, now.Add(-hour)), append(j.Forced, now.Add(-hour))
		}
	})
	newCode := connection(func(c *providers.Connection) { c.Code = providers.NewSecret("code-2") })
	ends := func(in time.Duration) func(*situation) {
		return func(s *situation) {
			s.connection = func(c *providers.Connection) { c.ExpiresAt = now.Add(in) }
			s.token = func(t *providers.Token) { t.ExpiresAt = now.Add(in) }
		}
	}

	add("renewable, not due", yappli, aged(hour))
	add("renewable, at half of its life", yappli, aged(13*hour))
	add("renewable, first run", yappli, first)
	add("renewable, forced", yappli, aged(hour), force)
	add("renewable, rejected", yappli, aged(hour), rejected(tokenID))
	add("renewable, another version rejected", yappli, aged(hour), rejected("hikyaku-token-0"))
	add("renewable, over budget", yappli, aged(13*hour), full)
	add("renewable, forced over budget", yappli, aged(hour), force, full)
	add("renewable, read as it stood before the last promotion", yappli, aged(hour), journal(func(j *protocol.Journal) {
		j.Promoted = &protocol.Promotion{From: tokenID, To: "hikyaku-token-2", At: now.Add(-time.Minute + 1)}
	}))
	add("renewable, rejected, and read as it stood before", yappli, aged(hour), rejected("hikyaku-token-2"), journal(func(j *protocol.Journal) {
		j.Promoted = &protocol.Promotion{From: tokenID, To: "hikyaku-token-2", At: now.Add(-time.Minute + 1)}
	}))
	add("renewable, a minute after the last promotion", yappli, aged(hour), journal(func(j *protocol.Journal) {
		j.Promoted = &protocol.Promotion{From: tokenID, To: "hikyaku-token-2", At: now.Add(-time.Minute)}
	}))
	add("renewable, edited", yappli, aged(13*hour), journal(func(j *protocol.Journal) {
		j.Promoted = &protocol.Promotion{From: editID, To: "hikyaku-token-2", At: now}
	}))
	add("renewable of ActiBookOne, due", situation{provider: providers.ActiBook, kind: providers.ClientCredentials, life: 30 * time.Minute}, aged(20*time.Minute))
	add("renewable of one secret, forced", yappli, aged(hour), force, connection(func(c *providers.Connection) { c.ClientSecrets = c.ClientSecrets[:1] }))
	add("renewable of no secret, forced", yappli, aged(hour), force, connection(func(c *providers.Connection) { c.ClientSecrets = nil }))
	for _, goal := range []protocol.Goal{protocol.CreatePending, protocol.TestPending, protocol.FinishRotation} {
		add("renewable, rotation: "+string(goal), yappli, aged(hour), rotates(goal))
		add("pair, rotation: "+string(goal), app, aged(hour), rotates(goal))
		add("code without refresh token, rotation: "+string(goal), code, aged(hour), bare, rotates(goal))
		add("static, rotation: "+string(goal), staff, aged(hour), rotates(goal))
	}
	add("renewable, rotation through the wrong secret", yappli, aged(hour), rotates(protocol.CreatePending), func(s *situation) { s.task.Part = protocol.RefreshSecret })
	add("renewable, rotation of an unreadable connection", yappli, aged(hour), rotates(protocol.CreatePending), connection(func(c *providers.Connection) { c.Quirks = []byte(`1`) }))
	add("pair in doubt, rotation: create", app, aged(hour), rotates(protocol.CreatePending), doubt)
	add("pair spent before, rotation: create", app, aged(hour), rotates(protocol.CreatePending), journal(func(j *protocol.Journal) {
		j.Spent = &protocol.Intent{Base: "hikyaku-record-0", Key: fingerprint("refresh-1"), At: now.Add(-day)}
	}))
	add("pair, rotation over budget: create", app, aged(hour), rotates(protocol.CreatePending), full)
	add("pair, new code, rotation: create", app, aged(hour), rotates(protocol.CreatePending), newCode)
	asked := func(n int) func(*situation) {
		return journal(func(j *protocol.Journal) {
			for range n {
				j.Asked = append(j.Asked, now.Add(-hour))
			}
		})
	}
	for _, n := range []int{11, 12} { // of 12, and one is needed
		add(fmt.Sprintf("renewable, rejected, after %d versions", n), yappli, aged(hour), rejected(tokenID), asked(n))
	}
	for _, n := range []int{9, 10} { // of 12, and three are needed
		add(fmt.Sprintf("pair, rejected, after %d versions", n), app, aged(hour), rejected(tokenID), asked(n))
	}
	forAnother := func(s *situation) { s.task.Version = protocol.OwnVersion + "asked-by-a-function" }
	add("renewable, rotation that a function asked for: create", yappli, aged(hour), rotates(protocol.CreatePending), forAnother, asked(11))
	add("renewable, rotation that a function asked for, over budget: create", yappli, aged(hour), rotates(protocol.CreatePending), forAnother, asked(12))
	for _, k := range []situation{yappli, app} {
		name := map[string]string{providers.Yappli: "renewable", providers.SHOPLINE: "pair"}[k.provider]
		add(name+", rotating, seen pending", k, aged(hour), force, journal(func(j *protocol.Journal) {
			j.Pending = &protocol.Sighting{ID: pendingID, Since: now.Add(-10*time.Minute + 1)}
		}))
		add(name+", rotating, abandoned", k, aged(hour), force, journal(func(j *protocol.Journal) {
			j.Pending = &protocol.Sighting{ID: pendingID, Since: now.Add(-10 * time.Minute)}
		}))
		add(name+", rotating, another was seen pending", k, aged(hour), force, journal(func(j *protocol.Journal) {
			j.Pending = &protocol.Sighting{ID: "service-version-0", Since: now.Add(-hour)}
		}))
	}

	add("pair, to be probed", app, aged(day))
	add("pair, due", app, aged(153*day))
	add("pair, first run", app, first)
	add("pair, first run without a code", app, first, connection(func(c *providers.Connection) { c.Code = providers.Secret{} }))
	add("pair, forced", app, aged(hour), force)
	add("pair, rejected", app, aged(hour), rejected(tokenID))
	add("pair, in doubt", app, aged(153*day), doubt)
	add("pair, in doubt, forced", app, aged(day), force, doubt)
	add("pair, in doubt, sent again", app, aged(day), resend, doubt)
	add("pair, doubt about another version", app, aged(day), journal(func(j *protocol.Journal) {
		j.Intent = &protocol.Intent{Base: "hikyaku-record-0", Key: fingerprint("refresh-1"), At: now.Add(-day)}
	}))
	add("pair, doubt about another token", app, aged(day), journal(func(j *protocol.Journal) {
		j.Intent = &protocol.Intent{Base: recordID, Key: "other", At: now.Add(-day)}
	}))
	add("pair, new code", app, aged(day), newCode, journal(func(j *protocol.Journal) { j.Connection = "connection-0" }))
	add("pair, new code that was exchanged", app, aged(day), force, newCode, journal(func(j *protocol.Journal) { j.Code = fingerprint("code-2") }))
	add("pair, over budget", app, aged(153*day), full)
	add("pair whose token is not derived, over budget", app, aged(day), full, func(s *situation) {
		s.token = func(t *providers.Token) { t.Credential = providers.NewSecret("access-0") }
	})
	add("pair whose token is not derived", app, aged(day), func(s *situation) {
		s.token = func(t *providers.Token) { t.Credential = providers.NewSecret("access-0") }
	})
	byHand := func(ends time.Duration) func(*situation) {
		return func(s *situation) {
			s.edited = true
			s.token = func(t *providers.Token) {
				t.Credential, t.ExpiresAt = providers.NewSecret("access-edited"), now.Add(ends)
			}
		}
	}
	add("pair whose token a person edited", app, aged(day), byHand(day))
	add("pair whose token a person edited, ended", app, aged(day), byHand(0))
	add("pair whose token a person edited, other connection", app, aged(day), byHand(day), journal(func(j *protocol.Journal) { j.Connection = "connection-0" }))
	add("static whose token a person edited", staff, aged(day), byHand(day))
	add("static whose token a person broke", staff, aged(day), func(s *situation) {
		s.edited = true
		s.token = func(t *providers.Token) { t.Credential = providers.Secret{} }
	})
	for _, ago := range []time.Duration{time.Minute - 1, time.Minute} {
		add("pair, spent from this version "+ago.String()+" ago", app, aged(hour), force, journal(func(j *protocol.Journal) {
			j.Spent = &protocol.Intent{Base: recordID, Key: fingerprint("refresh-1"), At: now.Add(-ago)}
		}))
	}
	add("pair, spent before", app, aged(153*day), journal(func(j *protocol.Journal) {
		j.Spent = &protocol.Intent{Base: "hikyaku-record-0", Key: fingerprint("refresh-1"), At: now.Add(-day)}
	}))
	add("pair, read as it stood before the last promotion", app, aged(day), journal(func(j *protocol.Journal) {
		j.Promoted = &protocol.Promotion{From: editID, To: "hikyaku-token-2", At: now}
	}))
	add("code, first run", code, first)
	add("code, to be probed", code, aged(day), bare)
	add("code with a refresh token, due", code, aged(31*day), func(s *situation) { s.life = 60 * day })

	add("static, not due", staff, aged(time.Minute))
	add("static, to be probed", staff, aged(day))
	add("static, first run", staff, first)
	add("static, pasted", staff, aged(day), connection(func(c *providers.Connection) { c.APIKey = providers.NewSecret("key-2") }))
	add("static, pasted, over budget", staff, aged(day), full, connection(func(c *providers.Connection) { c.APIKey = providers.NewSecret("key-2") }))
	add("static, without a key", staff, aged(day), connection(func(c *providers.Connection) { c.APIKey = providers.Secret{} }))
	add("static, ended", staff, aged(day), ends(0))
	add("static, ends in a moment", staff, aged(day), ends(1), func(s *situation) { s.ending = true })
	add("static, ends in 20 days", staff, aged(time.Minute), ends(20*day), func(s *situation) { s.ending = true })
	add("static, without a time of its own", staff, aged(day), func(s *situation) {
		s.token = func(t *providers.Token) { t.ObtainedAt, t.BaseURL = time.Time{}, "https://elsewhere.test" }
	})
	add("static, at another address", staff, aged(day), connection(func(c *providers.Connection) { c.BaseURL = "https://elsewhere.test" }))
	add("SuperSaaS, pasted", situation{provider: providers.SuperSaaS, kind: providers.Static}, aged(day), connection(func(c *providers.Connection) { c.APIKey = providers.NewSecret("key-2") }))

	broken := connection(func(c *providers.Connection) { c.ClientSecrets[0] = providers.NewSecret("a\nb") })
	add("unsendable connection", yappli, aged(hour), broken, journal(func(j *protocol.Journal) { j.Connection = "connection-0" }))
	add("a misspelled field", yappli, aged(hour), force, func(s *situation) { s.misspelled = true })
	add("unknown kind", situation{provider: providers.Yappli, kind: "other"}, aged(hour), force)
	human := func(j *protocol.Journal) {
		j.Outcome, j.Reason, j.Failures = protocol.Denied, "the provider does not accept the credential", 1
	}
	add("a person is needed and was not told", staff, aged(hour), journal(human), func(s *situation) { s.ending = true })
	add("a person is needed and was told", staff, aged(20*time.Second), journal(func(j *protocol.Journal) { human(j); j.NeedsHuman = j.Reason }))
	add("a person was told and is needed no more", staff, aged(time.Minute), journal(func(j *protocol.Journal) { j.NeedsHuman = "something" }), func(s *situation) { s.ending = true })
	return list
}
