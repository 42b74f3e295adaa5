package shopline

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

const (
	defaultPerPage = 50  // the documents advise at most this
	maxPerPage     = 999 // the documents allow at most this
)

// A Paging chooses a page. The zero value is the first page by cursor.
type Paging struct {
	// PreviousID is the id of the last record of the page before. Lists
	// set it on the way; set it to go on where an earlier run ended.
	PreviousID string
	// Page asks for a page by its number, from 1; 0 means by cursor. It
	// cannot stand beside PreviousID, which would make SHOPLINE ignore it.
	Page int
	// PerPage is the page's size, at most 999; 0: the quirk's, else 50.
	PerPage int
	// Descending begins with the newest record. Records that are made
	// meanwhile then shift the pages.
	Descending bool
}

// at returns the page that follows what has been read so far.
func (p Paging) at(read call.Position) Paging {
	if p.Page > 0 {
		p.Page += read.Index
	} else if read.LastID != "" {
		p.PreviousID = read.LastID
	}
	return p
}

func (p Paging) direction() string {
	if p.Descending {
		return "desc"
	}
	return "asc"
}

// size returns the page's size in effect.
func (p Paging) size(q Quirks) int { return cmp.Or(p.PerPage, q.PerPage, defaultPerPage) }

// write adds the parameters to v.
func (p Paging) write(v url.Values, q Quirks) error {
	size := p.size(q)
	switch {
	case size < 1 || size > maxPerPage:
		return fmt.Errorf("%w: per_page must be 1 to %d", providers.ErrInvalid, maxPerPage)
	case p.Page < 0 || p.Page > 0 && p.PreviousID != "":
		return fmt.Errorf("%w: a page number must be positive and cannot stand beside a previous id", providers.ErrInvalid)
	case p.PreviousID != "":
		v.Set("previous_id", p.PreviousID)
	case p.Page > 0:
		v.Set("page", strconv.Itoa(p.Page))
	}
	v.Set("per_page", strconv.Itoa(size))
	return nil
}

// A Between is a range of time, both ends inclusive. A zero end is open.
type Between struct {
	From, To time.Time
}

// parameterTime is the documented form of a time parameter.
const parameterTime = "2006-01-02 15:04:05"

// write adds name_after and name_before, in UTC. Their unit is the second:
// fractions widen the range.
func (b Between) write(v url.Values, name string) {
	if !b.From.IsZero() {
		v.Set(name+"_after", b.From.UTC().Truncate(time.Second).Format(parameterTime))
	}
	if !b.To.IsZero() {
		v.Set(name+"_before", b.To.UTC().Add(time.Second-1).Truncate(time.Second).Format(parameterTime))
	}
}

// texts adds the parameters that are not empty.
func texts(v url.Values, parameters map[string]string) {
	for name, value := range parameters {
		if value != "" {
			v.Set(name, value)
		}
	}
}

// lists adds the repeated parameters that have values.
func lists(v url.Values, parameters map[string][]string) {
	for name, values := range parameters {
		if len(values) > 0 {
			v[name] = values
		}
	}
}

// The documented form of every list (official docs, pagination). The total
// counts the whole list in an answer by page only: after a previous_id nobody
// knows what it counts.
var (
	itemsShape = jsonscan.Shape{Name: "items", Path: []string{"items"}, ID: []string{"id"}, Beside: []string{"pagination"}}
	totalPath  = []string{"pagination", "total_count"}
)

// shape is the form of the answer to a page.
func (p Paging) shape() jsonscan.Shape {
	s := itemsShape
	if p.PreviousID == "" {
		s.Total = totalPath
	}
	return s
}

// read reads one page of a list.
func (c *Client) read(ctx context.Context, op, path string, p Paging, query func(Quirks) (url.Values, error)) (jsonscan.List, error) {
	list, err := c.call.List(ctx, op, func(t providers.Token) (call.ListRequest, error) {
		quirks, err := parseQuirks(t.Quirks)
		if err != nil {
			return call.ListRequest{}, err
		}
		values, err := query(quirks)
		return call.ListRequest{Request: call.Request{Path: path, Query: values}, Shapes: []jsonscan.Shape{p.shape()}, Limit: p.size(quirks)}, err
	})
	return list, explain(err)
}

// pages decodes the records of one page after the other.
func pages[T any](ctx context.Context, op string, start Paging, fetch func(context.Context, Paging) (jsonscan.List, error), id func(T) providers.Text) iter.Seq2[T, error] {
	next := func(ctx context.Context, read call.Position) ([]T, error) {
		list, err := fetch(ctx, start.at(read))
		if err != nil {
			return nil, err
		}
		return call.Records(providers.SHOPLINE, op, list, call.Unmarshal[T])
	}
	return call.Pages(ctx, next, func(v T) string { return string(id(v)) })
}
