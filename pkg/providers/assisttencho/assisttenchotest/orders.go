package assisttenchotest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/sandbox"
)

// orderCalls serve the calls about orders.
type orderCalls struct {
	set    *Settings
	orders *orders
	server *sandbox.Server // of whose troubles its lists know
}

// list answers GET: the order asked for, or a page of all.
func (c orderCalls) list(w http.ResponseWriter, r *sandbox.Request) {
	if id, one := r.Lookup("serial_order_id"); one {
		c.single(w, id)
		return
	}
	quirks, err := assisttencho.ParseQuirks(c.set.rawQuirks())
	if err != nil {
		c.set.refuse(w, http.StatusInternalServerError, "sandbox_misconfigured")
		return
	}
	for name := range quirks.ListParameters {
		if _, sent := r.Lookup(name); !sent {
			c.set.refuse(w, http.StatusBadRequest, "invalid_request")
			return
		}
	}
	if quirks.Paging.Style == assisttencho.PagingNone {
		c.answer(w, c.orders.list)
		return
	}
	size := r.Int(quirks.Paging.SizeParameter, quirks.Paging.Size)
	start := pageStart(quirks.Paging, r, size)
	if size < 1 || size > quirks.Paging.Size || start < 0 {
		c.set.refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	if c.set.IgnorePaging {
		start = 0
	}
	if start > 0 {
		start += c.server.Drifting()
	}
	list := sandbox.Disordered(c.server, c.orders.list)
	start = min(start, len(list))
	c.answer(w, list[start:min(start+size, len(list))])
}

// pageStart returns how many orders lie before the page that r asks for.
func pageStart(p assisttencho.Paging, r *sandbox.Request, size int) int {
	if p.Style == assisttencho.PagingPage {
		return (r.Int(p.PageParameter, *p.FirstPage) - *p.FirstPage) * size
	}
	return r.Int(p.OffsetParameter, 0)
}

func (c orderCalls) single(w http.ResponseWriter, id string) {
	at, found := c.orders.find(id)
	switch {
	case !found && c.set.NotFound:
		c.set.refuse(w, http.StatusNotFound, "not_found")
	case !found:
		c.answer(w, nil)
	case c.set.Bare:
		sandbox.JSON(w, http.StatusOK, c.orders.served(c.orders.list[at]))
	default:
		c.answer(w, c.orders.list[at:at+1])
	}
}

// answer puts orders into the shop's envelope.
func (c orderCalls) answer(w http.ResponseWriter, orders []record) {
	list := make([]json.RawMessage, len(orders))
	for i, o := range orders {
		list[i] = c.orders.served(o)
	}
	var body any = list
	if c.set.Quirks.Envelope != "" {
		names := strings.Split(c.set.Quirks.Envelope, ".")
		for _, name := range slices.Backward(names) {
			body = map[string]any{name: body}
		}
	}
	sandbox.JSON(w, http.StatusOK, body)
}

// written checks the body of a POST or PUT before h: JSON of type
// application/json, in ASCII.
func (c orderCalls) written(h sandbox.Handler) sandbox.Handler {
	return func(w http.ResponseWriter, r *sandbox.Request) {
		if slices.ContainsFunc(r.Raw, func(b byte) bool { return b >= 0x80 }) {
			c.set.refuse(w, http.StatusBadRequest, "body_not_ascii")
			return
		}
		if r.Media != "application/json" || r.Bad != nil || r.JSON == nil {
			c.set.refuse(w, http.StatusBadRequest, "invalid_request")
			return
		}
		h(w, r)
	}
}

func (c orderCalls) create(w http.ResponseWriter, r *sandbox.Request) {
	if _, chosen := r.Lookup("serial_order_id"); chosen {
		c.set.refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	sandbox.JSON(w, http.StatusOK, c.orders.insert(r.JSON))
}

func (c orderCalls) update(w http.ResponseWriter, r *sandbox.Request) {
	at, found := c.orders.find(r.Param("serial_order_id"))
	if !found {
		c.set.refuse(w, http.StatusNotFound, "not_found")
		return
	}
	sandbox.JSON(w, http.StatusOK, c.orders.change(at, r.JSON))
}

func (c orderCalls) remove(w http.ResponseWriter, r *sandbox.Request) {
	at, found := c.orders.find(r.Param("serial_order_id"))
	if !found {
		c.set.refuse(w, http.StatusNotFound, "not_found")
		return
	}
	id := strconv.Itoa(c.orders.list[at].id)
	c.orders.remove(at)
	sandbox.JSON(w, http.StatusOK, map[string]string{"deleted": id})
}
