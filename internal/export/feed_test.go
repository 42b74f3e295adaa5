package export_test

import (
	"context"
	"errors"
	"io"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// A source answers with a provider's own bytes.
type source interface {
	Page(ctx context.Context, q pagination.Query) ([]byte, error)
}

// inItems is the shape of a bench's answers.
var inItems = jsonscan.Shape{Path: []string{"items"}, ID: []string{"id"}}

// feedOf reads a source strictly, as a client does, but without its retries.
func feedOf(s source, paging pagination.Paging, size int, limits jsonscan.Limits, shapes ...jsonscan.Shape) export.Feed {
	fetch := func(ctx context.Context, q pagination.Query) (jsonscan.List, error) {
		body, err := s.Page(ctx, q)
		if err != nil {
			return jsonscan.List{}, err
		}
		l, err := jsonscan.Split(body, limits, shapes...)
		var found *jsonscan.NotAListError
		if errors.As(err, &found) {
			return jsonscan.List{Body: body}, &providers.Error{Provider: "test", Op: "list", Status: 200, Kind: providers.ErrMalformed, Detail: "found " + found.Found}
		}
		return l, err
	}
	return export.Feed{Source: pagination.Source{
		Paging: paging, PageSize: size, Fetch: fetch,
		Release: func(body []byte) { // so that a use after release is seen
			clear(body[:cap(body)])
		},
		Stream: func(ctx context.Context, q pagination.Query) (pagination.Stream, error) {
			l, err := fetch(ctx, q)
			if errors.Is(err, jsonscan.ErrNotAList) { // as a client would
				l, err = fetch(ctx, q)
			}
			return &pieces{list: l}, err
		},
	}}
}

// pieces is a list that comes one record at a time.
type pieces struct {
	list jsonscan.List
	next int
}

func (p *pieces) Next() (jsonscan.List, error) {
	if p.list.Null && p.next == 0 {
		p.next--
		return p.list, nil
	}
	if p.next < 0 || p.next == len(p.list.Records) {
		return jsonscan.List{}, io.EOF
	}
	p.next++
	return jsonscan.List{Body: p.list.Body, Records: p.list.Records[p.next-1 : p.next], Total: -1}, nil
}

func (p *pieces) Close() error { return nil }

// serve makes the bench read another source.
func (b *bench) serve(s source) {
	feed := feedOf(s, b.feed.Paging, b.feed.PageSize, b.limits(), inItems)
	b.feed.Fetch, b.feed.Stream = feed.Fetch, feed.Stream
}

func (b *bench) limits() jsonscan.Limits { return jsonscan.Limits{Record: b.set.MaxRecord} }
