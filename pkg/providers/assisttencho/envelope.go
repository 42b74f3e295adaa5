package assisttencho

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// The faults of an answer's shape, for Error.Detail.
const (
	notJSON        = "the answer is not JSON"
	notUTF8        = "the answer is not UTF-8"
	unreadableID   = "an order's serial_order_id is neither a number nor a text"
	otherOrders    = "the answer holds other orders than the one asked for"
	emptyOrderID   = "the order number is empty"
	nothingToSpend = "nothing to spend; authorize with 'hikyaku authorize assisttencho'"
)

// decodeOrders reads the answer about one order: the order itself, as the
// whole answer or where the quirk envelope points, or a list. Text that is not
// UTF-8 is refused: encoding/json would replace it silently.
func decodeOrders(op string, answer call.Response, q Quirks) ([]Order, error) {
	switch {
	case !utf8.Valid(answer.Body):
		return nil, call.Malformed(providers.AssistTencho, op, answer, notUTF8)
	case !json.Valid(answer.Body):
		return nil, call.Malformed(providers.AssistTencho, op, answer, notJSON)
	}
	inside, _ := jsonscan.Lookup(answer.Body, q.path())
	for _, object := range [][]byte{answer.Body, inside} {
		if value, ok := jsonscan.Lookup(object, []string{orderID}); ok {
			if _, ok := jsonscan.Text(value); ok {
				order, err := call.Unmarshal[Order](bytes.TrimSpace(object))
				if err != nil {
					return nil, call.Malformed(providers.AssistTencho, op, answer, unreadableID)
				}
				return []Order{order}, nil
			}
		}
	}
	list, err := jsonscan.Split(bytes.Clone(answer.Body), jsonscan.Limits{}, q.Shape())
	if other, ok := errors.AsType[*jsonscan.NotAListError](err); ok {
		return nil, call.Malformed(providers.AssistTencho, op, answer, "found "+other.Found)
	}
	return call.Records(providers.AssistTencho, op, list, call.Unmarshal[Order])
}

// explain tells where the list's place is set, if the answer has another one.
func explain(err error) error {
	var e *providers.Error
	if errors.As(err, &e) && errors.Is(err, providers.ErrMalformed) &&
		(strings.HasPrefix(e.Detail, "found an object") || strings.HasPrefix(e.Detail, "found an array in place") || strings.HasPrefix(e.Detail, "found null")) {
		e.Detail += "; the quirks envelope and empty say what the shop answers, see docs/providers/assisttencho.md"
	}
	return err
}
