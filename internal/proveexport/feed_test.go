package proveexport

import (
	"context"
	"errors"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// A pages answers with a provider's own bytes.
type pages interface {
	Page(ctx context.Context, q pagination.Query) ([]byte, error)
}

// feedOf reads pages strictly, as a client does, but without its retries.
func feedOf(s pages, paging pagination.Paging, size int) export.Feed {
	shape := jsonscan.Shape{Path: []string{"items"}, ID: []string{"id"}}
	return export.Feed{Source: pagination.Source{Paging: paging, PageSize: size, Fetch: func(ctx context.Context, q pagination.Query) (jsonscan.List, error) {
		body, err := s.Page(ctx, q)
		if err != nil {
			return jsonscan.List{}, err
		}
		l, err := jsonscan.Split(body, jsonscan.Limits{}, shape)
		if errors.Is(err, jsonscan.ErrNotAList) {
			err = &providers.Error{Provider: "test", Op: "list", Status: 200, Kind: providers.ErrMalformed, Detail: err.Error()}
		}
		return l, err
	}}}
}
