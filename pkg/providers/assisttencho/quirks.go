package assisttencho

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// DefaultScope is the scope that the documents' example asks for.
const DefaultScope = "read_sales"

// MaxPageSize is the most records that a search of the sister products
// answers.
const MaxPageSize = 500

// A PagingStyle says how a list is asked for its next page.
type PagingStyle string

// The styles of paging.
const (
	PagingNone   PagingStyle = "none"   // a list is one answer
	PagingPage   PagingStyle = "page"   // pages have numbers
	PagingOffset PagingStyle = "offset" // a page starts after a number of records
)

// Quirks settle what the documents leave open. They stand in the connection
// as JSON; the zero value is the documents' own reading. An account's support
// contact can tell the right values.
type Quirks struct {
	// Scope is what the authorization page asks for; nil means
	// DefaultScope, an empty text sends none. The documents call it
	// reserved.
	Scope *string `json:"scope,omitempty"`
	// RefreshGrant allows the standard grant_type=refresh_token, should the
	// provider ever hand out a refresh token. Nothing documents it.
	RefreshGrant bool `json:"refresh_grant,omitempty"`
	// Paging says how lists are paged.
	Paging Paging `json:"paging,omitzero"`
	// ListParameters go with every list, such as a date range that the
	// provider demands.
	ListParameters map[string]string `json:"list_parameters,omitempty"`
	// Envelope is the path to the array in a list's answer, names joined by
	// dots: "response.orders". Empty: the answer is the array.
	Envelope string `json:"envelope,omitempty"`
	// Empty is what the shop answers, or puts in the array's place, when
	// there are no orders: EmptyArray, EmptyNull or EmptyObject. An empty
	// array always means that.
	Empty string `json:"empty,omitempty"`
}

// The forms of an empty list.
const (
	EmptyArray  = "[]"
	EmptyNull   = "null"
	EmptyObject = "{}" // some PHP applications write an empty array so
)

// Paging names a list's paging parameters. The zero value does not page.
type Paging struct {
	Style           PagingStyle `json:"style,omitempty"`            // empty: PagingNone
	PageParameter   string      `json:"page_parameter,omitempty"`   // empty: "page"
	FirstPage       *int        `json:"first_page,omitempty"`       // number of the first page; nil: 1
	OffsetParameter string      `json:"offset_parameter,omitempty"` // empty: "offset"
	SizeParameter   string      `json:"size_parameter,omitempty"`   // empty: "limit"
	Size            int         `json:"size,omitempty"`             // largest page, at most MaxPageSize; 0: MaxPageSize
}

// ParseQuirks reads the quirks of a connection or token. A field that Quirks
// does not have, an unknown style and a size above MaxPageSize are
// providers.ErrInvalid.
func ParseQuirks(raw json.RawMessage) (Quirks, error) {
	var q Quirks
	if err := call.DecodeQuirks(providers.AssistTencho, raw, &q); err != nil {
		return Quirks{}, err
	}
	p := &q.Paging
	if err := cmp.Or(
		call.Choose(providers.AssistTencho, "paging.style", &p.Style, PagingNone, PagingPage, PagingOffset),
		call.Choose(providers.AssistTencho, "empty", &q.Empty, EmptyArray, EmptyNull, EmptyObject)); err != nil {
		return Quirks{}, err
	}
	if p.Size < 0 || p.Size > MaxPageSize {
		return Quirks{}, fmt.Errorf("reading the quirks of %s: %w: paging.size must be from 1 to %d", providers.AssistTencho, providers.ErrInvalid, MaxPageSize)
	}
	if q.Envelope != "" && slices.Contains(q.path(), "") {
		return Quirks{}, fmt.Errorf("reading the quirks of %s: %w: envelope must be names joined by dots, such as response.orders", providers.AssistTencho, providers.ErrInvalid)
	}
	p.PageParameter, p.OffsetParameter = cmp.Or(p.PageParameter, "page"), cmp.Or(p.OffsetParameter, "offset")
	p.SizeParameter, p.Size = cmp.Or(p.SizeParameter, "limit"), cmp.Or(p.Size, MaxPageSize)
	p.FirstPage = cmp.Or(p.FirstPage, new(1))
	return q, nil
}

func (q Quirks) scope() string { return *cmp.Or(q.Scope, new(DefaultScope)) }

// path is the names of the envelope.
func (q Quirks) path() []string {
	if q.Envelope == "" {
		return nil
	}
	return strings.Split(q.Envelope, ".")
}

// Shape is the form of a list's answer.
func (q Quirks) Shape() jsonscan.Shape {
	s := jsonscan.Shape{Name: cmp.Or(q.Envelope, "[]"), Path: q.path(), ID: []string{orderID}}
	if q.Empty != EmptyArray {
		s.Empty = []string{q.Empty}
	}
	return s
}
