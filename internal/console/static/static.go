// Package static holds the files that the console's pages load: scripts and style sheets that
// internal/console/assets bundles, inside the program.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// Root is below which the files are served.
const Root = "/static/"

//go:embed *.js *.css
var files embed.FS

//go:embed notice.txt
var notice string

// Notice is the licenses of what the files are made of; the same as NOTICE of the repository.
func Notice() string { return notice }

// A Server serves the files at addresses that hold digests of them, so that a browser may keep
// each for good and never shows an old one.
type Server struct {
	addresses map[string]string
	files     map[string]file
}

type file struct {
	kind   string
	body   []byte
	packed func() []byte // compressed; at the first call, as a page loads only some
}

// New returns a server of the files.
func New() (*Server, error) {
	s := &Server{addresses: map[string]string{}, files: map[string]file{}}
	names, err := fs.Glob(files, "*.*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		body, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		digest := sha256.Sum256(body)
		ext := path.Ext(name)
		address := Root + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(digest[:8]) + ext
		kind := "text/javascript; charset=utf-8"
		if ext == ".css" {
			kind = "text/css; charset=utf-8"
		}
		s.addresses[name] = address
		s.files[address] = file{kind: kind, body: body, packed: sync.OnceValue(func() []byte { return pack(body) })}
	}
	return s, nil
}

// Address is where a file is served; an error says that there is none of the name, which a
// template then fails with.
func (s *Server) Address(name string) (string, error) {
	address, ok := s.addresses[name]
	if !ok {
		return "", fmt.Errorf("no file %q is bundled for the pages", name)
	}
	return address, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	body := f.body
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	if acceptsGzip(r) {
		body = f.packed()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // who asked may have gone
}

// acceptsGzip reads no weights but 0, as browsers send none.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, "gzip") {
			return strings.Trim(strings.TrimPrefix(strings.ReplaceAll(weight, " ", ""), "q="), "0.") != "" || weight == ""
		}
	}
	return false
}

func pack(body []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is a right one
	_, _ = w.Write(body)                                    // a buffer takes all
	_ = w.Close()
	return out.Bytes()
}
