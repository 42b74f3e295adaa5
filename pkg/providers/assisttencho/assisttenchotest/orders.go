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

// list answers GET: the order asked for, or a page of all.
func (s *Server) list(w http.ResponseWriter, r *sandbox.Request) {
	if id, one := r.Lookup("serial_order_id"); one {
		s.single(w, id)
		return
	}
	quirks, err := assisttencho.ParseQuirks(s.rawQuirks())
	if err != nil {
		s.refuse(w, http.StatusInternalServerError, "sandbox_misconfigured")
		return
	}
	for name := range quirks.ListParameters {
		if _, sent := r.Lookup(name); !sent {
			s.refuse(w, http.StatusBadRequest, "invalid_request")
			return
		}
	}
	if quirks.Paging.Style == assisttencho.PagingNone {
		s.answer(w, s.orders)
		return
	}
	size := r.Int(quirks.Paging.SizeParameter, quirks.Paging.Size)
	start := pageStart(quirks.Paging, r, size)
	if size < 1 || size > quirks.Paging.Size || start < 0 {
		s.refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	if s.IgnorePaging {
		start = 0
	}
	start = min(start, len(s.orders))
	s.answer(w, s.orders[start:min(start+size, len(s.orders))])
}

// pageStart returns how many orders lie before the page that r asks for.
func pageStart(p assisttencho.Paging, r *sandbox.Request, size int) int {
	if p.Style == assisttencho.PagingPage {
		return (r.Int(p.PageParameter, *p.FirstPage) - *p.FirstPage) * size
	}
	return r.Int(p.OffsetParameter, 0)
}

// announce calls BetweenPages before a page that is not a list's first.
func (s *Server) announce(r *http.Request) {
	quirks, err := assisttencho.ParseQuirks(s.rawQuirks())
	if s.BetweenPages == nil || err != nil || r.Method != http.MethodGet || r.URL.Query().Has("serial_order_id") {
		return
	}
	request := &sandbox.Request{Request: r}
	size := request.Int(quirks.Paging.SizeParameter, quirks.Paging.Size)
	if first := pageStart(quirks.Paging, request, size); first > 0 && size > 0 {
		s.BetweenPages(1 + (first+size-1)/size)
	}
}

func (s *Server) single(w http.ResponseWriter, id string) {
	at, found := s.find(id)
	switch {
	case !found && s.NotFound:
		s.refuse(w, http.StatusNotFound, "not_found")
	case !found:
		s.answer(w, nil)
	case s.Bare:
		sandbox.JSON(w, http.StatusOK, s.served(s.orders[at]))
	default:
		s.answer(w, s.orders[at:at+1])
	}
}

// answer puts orders into the shop's envelope.
func (s *Server) answer(w http.ResponseWriter, orders []record) {
	list := make([]json.RawMessage, len(orders))
	for i, o := range orders {
		list[i] = s.served(o)
	}
	var body any = list
	if s.Quirks.Envelope != "" {
		names := strings.Split(s.Quirks.Envelope, ".")
		for i := len(names) - 1; i >= 0; i-- {
			body = map[string]any{names[i]: body}
		}
	}
	sandbox.JSON(w, http.StatusOK, body)
}

// written checks the body of a POST or PUT before h: JSON of type
// application/json, in ASCII.
func (s *Server) written(h sandbox.Handler) sandbox.Handler {
	return func(w http.ResponseWriter, r *sandbox.Request) {
		for _, b := range r.Raw {
			if b >= 0x80 {
				s.refuse(w, http.StatusBadRequest, "body_not_ascii")
				return
			}
		}
		if r.Media != "application/json" || r.Bad != nil || r.JSON == nil {
			s.refuse(w, http.StatusBadRequest, "invalid_request")
			return
		}
		h(w, r)
	}
}

func (s *Server) create(w http.ResponseWriter, r *sandbox.Request) {
	if _, chosen := r.Lookup("serial_order_id"); chosen {
		s.refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	sandbox.JSON(w, http.StatusOK, s.insert(r.JSON))
}

func (s *Server) update(w http.ResponseWriter, r *sandbox.Request) {
	at, found := s.find(r.Param("serial_order_id"))
	if !found {
		s.refuse(w, http.StatusNotFound, "not_found")
		return
	}
	sandbox.JSON(w, http.StatusOK, s.change(at, r.JSON))
}

func (s *Server) remove(w http.ResponseWriter, r *sandbox.Request) {
	at, found := s.find(r.Param("serial_order_id"))
	if !found {
		s.refuse(w, http.StatusNotFound, "not_found")
		return
	}
	id := strconv.Itoa(s.orders[at].id)
	s.orders = slices.Delete(s.orders, at, at+1)
	sandbox.JSON(w, http.StatusOK, map[string]string{"deleted": id})
}
