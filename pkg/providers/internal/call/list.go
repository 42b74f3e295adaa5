package call

import (
	"context"
	"encoding/json"
	"net/http"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// A ListRequest asks for one page of a list.
type ListRequest struct {
	Request
	Shapes []jsonscan.Shape // documented forms of the answer
	Others []jsonscan.Shape // further ones, which this answer must not have
	Limit  int              // rows asked for; 0: not said
}

// List sends the request that build makes and reads the page, inside the
// retries: an answer that is no documented list is an ErrMalformed, and asked
// for again like one with a 5xx.
func (c *Client) List(ctx context.Context, op string, build func(providers.Token) (ListRequest, error)) (jsonscan.List, error) {
	var list jsonscan.List
	answer, err := c.Do(ctx, op, func(t providers.Token) (Request, error) {
		r, err := build(t)
		r.Read = func(body []byte) error {
			var err error
			list, err = jsonscan.Split(body, c.limits(r.Limit), r.Shapes...)
			return jsonscan.Explain(err, body, r.Others...)
		}
		return r.Request, err
	})
	if err != nil {
		return jsonscan.List{Body: answer.Body}, err // for callers that keep what cannot be read
	}
	return list, nil
}

// limits are those of a page of so many rows.
func (c *Client) limits(rows int) jsonscan.Limits {
	return jsonscan.Limits{
		Body: int(c.options.MaxBody), Elements: max(4*rows, c.options.MaxElements), Record: c.recordSize(),
	}
}

// Records decodes the records of a page. A record with a fault ends it, and so
// does null in the place of the list, which is no end.
func Records[T any](provider, op string, list jsonscan.List, decode func([]byte) (T, error)) ([]T, error) {
	fault := func(kind error, detail string) ([]T, error) {
		return nil, &providers.Error{Provider: provider, Op: op, Status: http.StatusOK, Kind: kind, Detail: detail}
	}
	if list.Null {
		return fault(providers.ErrMalformed, "found null in place of the list")
	}
	out := make([]T, 0, len(list.Records))
	for _, r := range list.Records {
		if r.Fault != "" {
			return fault(providers.ErrInvalid, "a record of the list cannot be used: "+r.Fault)
		}
		record, err := decode(list.Bytes(r))
		if err != nil {
			return fault(providers.ErrInvalid, "a record of the list is not of the documented form")
		}
		out = append(out, record)
	}
	return out, nil
}

// Unmarshal decodes a record by encoding/json.
func Unmarshal[T any](record []byte) (T, error) {
	var v T
	err := json.Unmarshal(record, &v)
	return v, err
}
