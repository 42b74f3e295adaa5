package static_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"hikyaku/internal/console/static"
)

// Every file is served at its address, kept for good, in its own kind, and compressed for who
// takes it, to the same bytes.
func TestServer_ServesEveryFile(t *testing.T) {
	server, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{
		"app.js": "text/javascript; charset=utf-8", "plot.js": "text/javascript; charset=utf-8", "mapping.js": "text/javascript; charset=utf-8",
		"app.css": "text/css; charset=utf-8", "plot.css": "text/css; charset=utf-8",
	}
	for name, kind := range kinds {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		address, err := server.Address(name)
		if err != nil {
			t.Fatal(err)
		}
		plain := get(server, http.MethodGet, address, "")
		if plain.Code != http.StatusOK || plain.Body.String() != string(want) {
			t.Errorf("%s: status %d, %d bytes; want the file", address, plain.Code, plain.Body.Len())
		}
		if got := plain.Header().Get("Content-Type"); got != kind {
			t.Errorf("%s is %q, want %q", address, got, kind)
		}
		if got := plain.Header().Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: Cache-Control %q; an address with a digest may be kept", address, got)
		}
		packed := get(server, http.MethodGet, address, "br, gzip;q=0.5")
		if got := packed.Header().Get("Content-Encoding"); got != "gzip" {
			t.Fatalf("%s: Content-Encoding %q, want gzip", address, got)
		}
		r, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != string(want) {
			t.Errorf("%s: unpacks to other bytes (%v)", address, err)
		}
		if got := get(server, http.MethodGet, address, "gzip;q=0").Header().Get("Content-Encoding"); got != "" {
			t.Errorf("%s: compressed as %q for who refuses it", address, got)
		}
		if head := get(server, http.MethodHead, address, ""); head.Body.Len() != 0 || head.Code != http.StatusOK {
			t.Errorf("%s: HEAD answered %d with %d bytes", address, head.Code, head.Body.Len())
		}
		if post := get(server, http.MethodPost, address, ""); post.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: POST answered %d", address, post.Code)
		}
	}
}

// Nothing is served under a name without its digest, nor anything else.
func TestServer_ServesNothingElse(t *testing.T) {
	server, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"/static/", "/static/app.js", "/static/app.0000000000000000.js", "/static/notice.txt", "/static/static.go", "/static/../static.go"} {
		if got := get(server, http.MethodGet, address, ""); got.Code != http.StatusNotFound {
			t.Errorf("%s answered %d, want 404", address, got.Code)
		}
	}
	if address, err := server.Address("absent.js"); err == nil {
		t.Errorf("absent.js has the address %q", address)
	}
}

// The page of licenses shows what NOTICE says, and NOTICE names what is bundled.
func TestFiles_HoldTheLicensesOfTheRepository(t *testing.T) {
	want, err := os.ReadFile("../../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	if static.Notice() != string(want) {
		t.Error("notice.txt is not NOTICE; run make console-assets")
	}
	for _, name := range []string{"htmx.org", "uplot", "@codemirror/view", "@lezer/yaml", "style-mod"} {
		if !strings.Contains(static.Notice(), "\n"+name+" ") {
			t.Errorf("NOTICE does not name %s", name)
		}
	}
}

func get(server http.Handler, method, address, encodings string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1"+address, nil)
	r.Header.Set("Accept-Encoding", encodings)
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	return w
}
