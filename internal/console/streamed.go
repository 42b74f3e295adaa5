package console

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// serveFound answers with what an action finds while it looks: each message takes the place
// of the one before. It ends when the person stops it or leaves.
func (s *Server) serveFound(w http.ResponseWriter, r *http.Request, a action, form url.Values) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	v := s.view(r, page{Name: a.page})
	show := func(fields any, err error) error {
		v.Data, v.Err = result{Action: a.name, Fields: fields, Err: err}, err
		part, err := s.execute(v, a.page, "result-"+a.name)
		if err != nil {
			return err
		}
		writeData(w, part)
		return out.Flush()
	}
	err := a.stream(r.Context(), form, func(fields any) error { return show(fields, nil) })
	if err != nil && r.Context().Err() == nil {
		_ = show(nil, err)
	}
}

// writeData writes HTML as the data of one message of a stream. A carriage return would end
// a line there, and let a customer's text begin a field of the message.
func writeData(w io.Writer, html []byte) {
	html = bytes.ReplaceAll(bytes.ReplaceAll(html, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("&#13;"))
	for line := range bytes.Lines(html) {
		_, _ = fmt.Fprintf(w, "data: %s\n", bytes.TrimRight(line, "\n"))
	}
	_, _ = fmt.Fprint(w, "\n")
}
