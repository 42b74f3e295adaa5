package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

func lookAtSecrets(o *Observations, f *finder) {
	all := o.Secrets
	if o.WebhookSecret != nil {
		all = append(slices.Clone(all), *o.WebhookSecret)
	}
	var denied []string
	for _, s := range all {
		switch s.State {
		case Deleted:
			f.add("secret.deleted", s.Name, "")
		case Broken:
			f.addNext("secret.broken", s.Name, s.Why, s.Remedy)
		case Denied:
			denied = append(denied, s.Name)
		}
	}
	if len(denied) > 0 {
		f.add("secret.denied", "", strings.Join(denied, ", "))
	}
}

func lookAtCredentials(o *Observations, f *finder) {
	if o.HashKeyMissing {
		f.add("hash-key.missing", o.Place.Prefix+"/export/hmac", "")
	}
	unknown := slices.ContainsFunc(o.Secrets, func(s Secret) bool { return s.State == Denied || s.State == Deleted || s.State == Broken })
	for source := range o.Unread {
		unknown = unknown || strings.HasPrefix(string(source), string(FromSecrets.Of("")))
	}
	if len(o.Credentials) == 0 && !unknown {
		f.add("connection.none", "", "")
	}
	lookAtUnconnected(o, f)
	for _, c := range o.Credentials {
		if len(c.Faults) > 0 {
			f.add("connection.wrong", c.Provider, strings.Join(c.Faults, "; "))
		}
		if len(c.Unknown) > 0 {
			f.addSaid("connection.unknown-field", c.Provider, some(c.Unknown), "")
		}
		if len(c.Spent) > 0 {
			f.add("token.budget-spent", c.Provider, strings.Join(c.Spent, ", "))
		}
		if !lookAtOutcome(c, o.Now, f) {
			lookAtLife(c, o.Now, f)
		}
	}
}

// lookAtUnconnected tells of providers whose connection is missing though somebody works
// with them. Where no provider is connected nobody does.
func lookAtUnconnected(o *Observations, f *finder) {
	writes := o.read(FromFunctions) && o.Functions[relayFunction].Vars["HIKYAKU_RELAY"] == "write"
	for _, provider := range o.Unconnected {
		switch relays := provider == providers.SuperSaaS || provider == providers.Yappli; {
		case len(o.Credentials) == 0:
		case writes && relays:
			f.add("connection.missing", provider, "the relay is to write (RelayMode=write), and does nothing without both providers.")
		case slices.Contains(o.Left, provider):
			f.add("connection.missing", provider, "its token is still served, and nobody replaces it. Connect it again, or delete the secret of its token.")
		}
	}
}

// lookAtOutcome reports whether the last run says already what is wrong.
func lookAtOutcome(c Credential, now time.Time, f *finder) bool {
	reason := cmp.Or(c.Reason, string(c.Outcome))
	switch {
	case c.Outcome == protocol.InDoubt:
		f.add("token.in-doubt", c.Provider, reason)
	case c.Outcome == protocol.Unconfigured:
		f.addNext("token.unconfigured", c.Provider, reason, byPerson(c))
		lookAtEnd(c, now, f) // which is graver
	case c.Outcome.Status() == protocol.Human:
		f.addNext("token.needs-human", c.Provider, reason, byPerson(c))
	case c.Outcome.Status() == protocol.Fault || c.Outcome == protocol.Cooling:
		f.add("token.failing", c.Provider, reason)
		lookAtEnd(c, now, f)
	default:
		return false
	}
	return true
}

// grace is how long a token may be due: a tick comes each minute, and after a failure the
// next waits for a minute.
func (c Credential) grace() time.Duration { return min(10*time.Minute, c.Expires.Sub(c.ObtainedAt)/10) }

// lookAtEnd reports whether the token that is served has ended.
func lookAtEnd(c Credential, now time.Time, f *finder) bool {
	ended := c.Served && !c.Expires.IsZero() && !now.Before(c.Expires)
	if ended {
		f.addNext("token.expired", c.Provider, stamp(c.Expires), renew(c))
	}
	return ended
}

func lookAtLife(c Credential, now time.Time, f *finder) {
	human := c.Kind == providers.Static || c.Kind == providers.OneTimeCode
	switch {
	case !c.Served:
		if len(c.Faults) == 0 && (c.Unserved == "" || c.Unserved == Missing) {
			f.add("token.missing", c.Provider, "")
		}
	case lookAtEnd(c, now, f):
	case human && !c.Expires.IsZero() && c.Expires.Sub(now) <= warnAhead:
		f.addNext("token.ending", c.Provider, stamp(c.Expires), byPerson(c))
	case human:
	case c.NoRefresh:
		f.add("token.no-refresh", c.Provider, stamp(c.Expires))
	case c.Expires.IsZero():
		f.add("token.no-end", c.Provider, "")
	case !c.DueAt.IsZero() && now.After(c.DueAt.Add(c.grace())):
		f.add("token.overdue", c.Provider, stamp(c.DueAt))
	}
}

// warnAhead is when the first event tells a person of an end.
const warnAhead = 30 * 24 * time.Hour

func lookAtProbes(o *Observations, f *finder) {
	for _, c := range o.Credentials {
		if o.read(FromSecrets) && c.Outcome.Status() == protocol.Human {
			continue // what the last run met says more
		}
		switch c.Probe {
		case Refused:
			f.addNext("token.refused", c.Provider, c.Answer, renew(c))
		case Forbidden:
			f.add("token.forbidden", c.Provider, c.Answer)
		case Unclear:
			f.add("token.unclear", c.Provider, c.Answer)
		}
	}
}

// byPerson is the command with which a person makes another credential.
func byPerson(c Credential) string {
	if c.Kind == providers.OneTimePair || c.Kind == providers.OneTimeCode {
		return "hikyaku authorize {subject} {hikyaku}"
	}
	return connect
}

// renew is the command that replaces a token.
func renew(c Credential) string {
	if c.Kind == providers.Static || c.Kind == providers.OneTimeCode || c.Outcome == protocol.Unconfigured {
		return byPerson(c)
	}
	return "hikyaku tokens refresh {subject} --force {hikyaku}"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// moveAway is the command that moves an object of the bucket to where nothing reads it.
func (o *Observations) moveAway(key string) string {
	from := fmt.Sprintf("s3://%s/%s/%s", o.Functions[relayFunction].Vars["HIKYAKU_BUCKET"], o.Place.Prefix, key)
	return "aws s3 mv " + from + " " + from + ".broken {aws}"
}

func lookAtMapping(o *Observations, f *finder) {
	switch m := o.Mapping; {
	case m.Pointer != "":
		f.addNext("mapping.pointer-broken", "", m.Pointer, o.moveAway("config/mapping/pointer"))
	case m.Lost:
		f.add("mapping.pointer-lost", "", "")
	case !m.Published:
		f.add("mapping.unpublished", "", "")
	case m.File != "":
		f.add("mapping.unreadable", "", m.File)
	case m.Refused != "":
		f.add("mapping.refused", "", m.Refused)
	}
}

func lookAtFields(o *Observations, f *finder) {
	if len(o.Unknown) > 0 {
		f.addSaid("mapping.unknown-field", "", some(o.Unknown), "")
	}
}
