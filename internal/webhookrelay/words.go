package webhookrelay

// sentences say each outcome in plain words.
var sentences = map[string]string{ //nolint:gosec // no credential: the words say what became of one
	"created":             "a member was made for the user",
	"updated":             "the member was changed",
	"linked":              "the member that bears the user's identity was found and changed",
	"restored":            "the member had been disabled by the relay, and was enabled again and updated",
	"disabled":            "the user is gone, and the member was disabled",
	"already_disabled":    "the user is gone, and the member is disabled already",
	"unchanged":           "the member has these values already, and nothing is to be done",
	"gone_unlinked":       "the user is gone, and no member of theirs is known",
	"no_identity":         "the user lacks the field that the identity is made of, and is not written",
	"duplicate_identity":  "another user has the same identity, so this one is not written",
	"unreadable_answer":   "the secret answer cannot be read, and an update would reset it, so nothing was written",
	"would_create":        "a member would be made for the user",
	"would_update":        "the member would be changed in the fields that differ",
	"would_disable":       "the user is gone, and the member would be disabled",
	"awaiting_list":       "no complete list of members has been read that is new enough: the next reconcile does that",
	"unresolved":          "whether a member was made is not known: a reconcile with a list of members decides",
	"in_flight":           "another worker is at this user",
	"contended":           "another worker was faster, and this one tries again",
	"restless":            "the user goes and comes while it is read: it is tried again",
	"disabling_stopped":   "too many members were to be disabled in an hour: 'hikyaku relay release' goes on",
	"member_missing":      "Yappli has the linked member no more",
	"refused":             "Yappli does not accept what the mapping makes of the user",
	"malformed":           "the message is none of hikyaku's",
	"update_rule_unknown": "whether an update keeps what it omits is not known: run 'hikyaku mapping check FILE --user ID --write'",
	"provider_resting":    "a provider has failed often, and is left alone for a while",
	"rate_limited":        "a provider asks for fewer requests",
	"credential":          "a provider refuses the token: see 'hikyaku tokens'",
	"temporary":           "a provider failed, and is tried again",
	"bad_answer":          "a provider's answer is none that is documented",
	"store":               "the relay's own state could not be read or written",
}

// Sentence says in plain words how a job ended, or would end. It is the outcome
// itself if that is none of the relay's.
func Sentence(outcome string) string {
	if s, ok := sentences[outcome]; ok {
		return s
	}
	return outcome
}
