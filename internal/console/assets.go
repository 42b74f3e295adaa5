package console

import (
	"context"
	_ "embed"
	"net/http"

	"hikyaku/internal/console/static"
)

//go:embed icon.svg
var icon []byte

func serveIcon(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write(icon)
}

// licenses is the page that says whose work the console is made of.
func (s *Server) licenses() page {
	return page{Name: "licenses", Path: "/licenses", load: func(context.Context, *http.Request) (any, error) { return static.Notice(), nil }}
}
