package assisttencho

import (
	"encoding/json"
	"unicode/utf8"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// The faults of an answer's shape, for Error.Detail.
const (
	notJSON        = "the answer is not JSON"
	notUTF8        = "the answer is not UTF-8"
	notObjects     = "the list holds something that is no object"
	notList        = "the answer is neither an object nor an array"
	nothingThere   = "the answer has nothing where the quirk envelope points"
	severalArrays  = "the answer holds several arrays; name the one with the orders in the quirk envelope"
	unreadableID   = "an order's serial_order_id is neither a number nor a text"
	otherOrders    = "the answer holds other orders than the one asked for"
	emptyOrderID   = "the order number is empty"
	nothingToSpend = "nothing to spend; authorize with 'hikyaku authorize assisttencho'"
)

// decodeOrders reads the orders of a whole answer. Text that is not UTF-8 is
// refused: encoding/json would replace it silently.
func decodeOrders(op string, answer call.Response, q Quirks) ([]Order, error) {
	if !utf8.Valid(answer.Body) {
		return nil, call.Malformed(providers.AssistTencho, op, answer, notUTF8)
	}
	records, fault := splitOrders(answer.Body, q.envelope())
	if fault != "" {
		return nil, call.Malformed(providers.AssistTencho, op, answer, fault)
	}
	orders := make([]Order, len(records))
	for i, record := range records {
		if json.Unmarshal(record, &orders[i]) != nil {
			return nil, call.Malformed(providers.AssistTencho, op, answer, unreadableID)
		}
	}
	return orders, nil
}

// splitOrders returns the orders in an answer: what path leads to or, without
// a path, a top-level array, the one array in an object, or a single order.
// An object with a serial_order_id is an order whatever the path says. Null
// and an empty object are no orders. fault is empty if the shape is one of
// these.
func splitOrders(body []byte, path []string) (orders []json.RawMessage, fault string) {
	value := json.RawMessage(trim(body))
	if !json.Valid(value) {
		return nil, notJSON
	}
	for _, name := range path {
		object := members(value)
		if object[orderID] != nil {
			return []json.RawMessage{value}, ""
		}
		if object[name] == nil {
			return nil, nothingThere
		}
		value = object[name]
	}
	object := members(value)
	switch {
	case value[0] == '[':
		return elements(value)
	case value[0] == 'n', value[0] == '{' && len(object) == 0:
		return nil, ""
	case value[0] != '{':
		return nil, notList
	case object[orderID] != nil || len(path) > 0:
		return []json.RawMessage{value}, ""
	}
	var arrays []json.RawMessage
	for _, member := range object {
		if member[0] == '[' {
			arrays = append(arrays, member)
		}
	}
	switch len(arrays) {
	case 0:
		return []json.RawMessage{value}, ""
	case 1:
		return elements(arrays[0])
	}
	return nil, severalArrays
}

// members returns the members of a valid JSON object, and none of any other
// value.
func members(value json.RawMessage) map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil {
		return nil
	}
	return object
}

func elements(array json.RawMessage) (orders []json.RawMessage, fault string) {
	if json.Unmarshal(array, &orders) != nil {
		return nil, notJSON
	}
	for _, order := range orders {
		if order[0] != '{' {
			return nil, notObjects
		}
	}
	return orders, ""
}
