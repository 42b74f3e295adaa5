package yappli

import (
	"context"
	"encoding/json"
	"net/url"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// A Handover is the answer to the check of a hand-over token.
type Handover struct {
	// Valid says that the token belongs to the user who was named.
	Valid bool
	// Member is that user where the tenant's answer holds one, else nil.
	// The documents' prose promises it, their table does not.
	Member *Member
}

// CheckHandover asks whether token, which the app handed over when it sent its
// user to another service, belongs to the user with Yappli's id. Believe
// nothing about the visitor unless Valid is true.
func (c *Client) CheckHandover(ctx context.Context, token providers.Secret, id string) (Handover, error) {
	const op = "handover.check"
	path, err := element(op, "hand-over token", token.Reveal())
	if err != nil {
		return Handover{}, err
	}
	if id == "" {
		return Handover{}, refuse(op, "the id is empty")
	}
	answer, err := c.do(ctx, op, func(Quirks) (call.Request, error) {
		return call.Request{Path: root + "/check" + path, Query: url.Values{"id": {id}}}, nil
	})
	if err != nil {
		return Handover{}, err
	}
	return decodeHandover(answer, id)
}

// decodeHandover takes a status alone, a member alone, or both. A member other
// than the one named is never a yes.
func decodeHandover(answer call.Response, id string) (Handover, error) {
	const op = "handover.check"
	var body struct {
		Status *providers.Flag  `json:"status"`
		Member *json.RawMessage `json:"member"` // nil also for null, which a tenant may write for "no member"
		ID     *json.RawMessage `json:"id"`
	}
	if err := call.Decode(providers.Yappli, op, answer, &body); err != nil {
		return Handover{}, err
	}
	var h Handover
	if body.Member != nil || body.ID != nil {
		members, err := DecodeUsers(answer.Body)
		if err != nil || len(members) > 1 || len(members) == 1 && members[0].ID != id {
			return Handover{}, call.Malformed(providers.Yappli, op, answer, "the answer is not about the user who was named")
		}
		if len(members) == 1 {
			h.Member = &members[0]
		}
	}
	switch {
	case body.Status != nil:
		h.Valid = bool(*body.Status)
	case h.Member != nil:
		h.Valid = true
	default:
		return Handover{}, call.Malformed(providers.Yappli, op, answer, "the answer has neither status nor member")
	}
	return h, nil
}
