package outcome

import (
	"maps"
	"slices"
)

// A Class is how a job ended or would end, or why a reconcile sends a user. It
// is a constant: in logs, metrics, dead letters and rows.
type Class string

// The classes. What each means is in the table of Sentence.
const (
	Created           Class = "created"
	Updated           Class = "updated"
	Linked            Class = "linked"
	Restored          Class = "restored"
	Disabled          Class = "disabled"
	AlreadyDisabled   Class = "already_disabled"
	Unchanged         Class = "unchanged"
	GoneUnlinked      Class = "gone_unlinked"
	NoIdentity        Class = "no_identity"
	DuplicateIdentity Class = "duplicate_identity"
	AwaitingApproval  Class = "awaiting_approval"
	LinkRejected      Class = "link_rejected"
	UnreadableAnswer  Class = "unreadable_answer"
	Unconverging      Class = "unconverging"
	Interrupted       Class = "interrupted"
	TriedTooOften     Class = "tried_too_often"
	WouldCreate       Class = "would_create"
	WouldLink         Class = "would_link"
	WouldUpdate       Class = "would_update"
	WouldDisable      Class = "would_disable"
	AwaitingList      Class = "awaiting_list"
	Unresolved        Class = "unresolved"
	InFlight          Class = "in_flight"
	Contended         Class = "contended"
	Restless          Class = "restless"
	MappingChanged    Class = "mapping_changed"
	DisablingStopped  Class = "disabling_stopped"
	MemberMissing     Class = "member_missing"
	Refused           Class = "refused"
	Malformed         Class = "malformed"
	UpdateRuleUnknown Class = "update_rule_unknown"
	ProviderResting   Class = "provider_resting"
	RateLimited       Class = "rate_limited"
	Credential        Class = "credential"
	Temporary         Class = "temporary"
	BadAnswer         Class = "bad_answer"
	Store             Class = "store"

	// Why a reconcile sends a user, beside Restored and Unresolved.
	Missing   Class = "missing"
	Differing Class = "differing"
	Gone      Class = "gone"
	Decided   Class = "decided"

	// What a dry run names without sending it.
	Unreadable Class = "unreadable"
	Odd        Class = "odd"
)

var sentences = map[Class]string{ //nolint:gosec // no credential: the words say what became of one
	Created:           "a member was made for the user",
	Updated:           "the member was changed",
	Linked:            "the member with the user's identity was found and changed",
	Restored:          "the member had been disabled by the relay, and was enabled again and updated",
	Disabled:          "the user is gone, and the member was disabled",
	AlreadyDisabled:   "the user is gone, and the member is disabled already",
	Unchanged:         "the member has these values already, and nothing is to be done",
	GoneUnlinked:      "the user is gone, and no member of theirs is known",
	NoIdentity:        "the field that the identity is made of is empty or cannot be read, so the user is not written",
	DuplicateIdentity: "another user has the same identity, so this one is not written",
	AwaitingApproval:  "a member that the relay did not make has the user's identity: 'hikyaku links' decides whether it is the user's",
	LinkRejected:      "a person has decided that the member with the user's identity is not the user's, so nothing is written",
	UnreadableAnswer:  "the secret answer cannot be read, and an update would reset it, so nothing was written",
	Unconverging:      "Yappli does not keep what it is sent in the fields named, which are left until either side changes",
	Interrupted:       "the job did not end, or its request was not answered: a later job or a reconcile went on from there",
	TriedTooOften:     "the queue handed the message out too often, and gave it up",
	WouldCreate:       "a member would be made for the user",
	WouldLink:         "the member with the user's identity would be linked, if HIKYAKU_LINK or a person ('hikyaku links') allows it, and changed in the fields that differ",
	WouldUpdate:       "the member would be changed in the fields that differ",
	WouldDisable:      "the user is gone, and the member would be disabled",
	AwaitingList:      "no complete list of members has been read that is new enough: the next reconcile does that",
	Unresolved:        "whether a member was made is not known: a reconcile with a list of members decides",
	InFlight:          "another worker is at this user",
	Contended:         "another worker was faster, and this one tries again",
	Restless:          "the user goes and comes while it is read: it is tried again",
	MappingChanged:    "another mapping was published meanwhile: the job starts again with it",
	DisablingStopped:  "too many members were to be disabled in an hour: 'hikyaku relay release' goes on",
	MemberMissing:     "Yappli has the linked member no more",
	Refused:           "Yappli does not accept what the mapping makes of the user",
	Malformed:         "the message is none of hikyaku's",
	UpdateRuleUnknown: "whether an update keeps what it omits is not known: run 'hikyaku mapping check FILE --user ID --write'",
	ProviderResting:   "a provider has failed often, and is left alone for a while",
	RateLimited:       "a provider asks for fewer requests",
	Credential:        "a provider refuses the token: see 'hikyaku tokens'",
	Temporary:         "a provider failed, and is tried again",
	BadAnswer:         "a provider's answer is none that is documented",
	Store:             "the relay's own state could not be read or written",
	Missing:           "no member of the user is in the list: one would be made",
	Differing:         "the member shows other values than the mapping gives",
	Gone:              "the user is not in the list: the relay reads them singly, and disables the member of one who is gone",
	Odd:               "fields of the user are of a type that SuperSaaS does not document: what is mapped of them stays as it is",
	Decided:           "a person has decided that the member is the user's, and the link is not made yet",
	Unreadable:        "fields of the user cannot be read: what Yappli holds of them stays",
}

// Sentence says the class in plain words. It is the class itself if that is none
// of the table, as another version may have written it.
func (c Class) Sentence() string {
	if s, ok := sentences[c]; ok {
		return s
	}
	return string(c)
}

// Classes returns every class of the table, sorted.
func Classes() []Class { return slices.Sorted(maps.Keys(sentences)) }
