package proveexport

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// The members of bulk are numbered from here on, so that all ids are of one length.
const firstID = 100_000_000

const bulkPage = 1000 // rows a page, of about 1 KB each

// A bulk is a member list as fast as a socket. Its records, about 1 KB each,
// nested, Chinese and Japanese, are those of the shop's sandbox; the same
// thousand come again and again under other ids.
type bulk struct {
	rows  int
	tails [][]byte // each record from after its id
}

func newBulk(t testing.TB, rows int) *bulk {
	t.Helper()
	var dump bytes.Buffer
	if err := localstack.NewSandbox(providers.SHOPLINE, sandbox.Options{Seed: seed(), Records: bulkPage}).Dump(&dump); err != nil {
		t.Fatal(err)
	}
	var held struct{ Customers []json.RawMessage }
	if err := json.Unmarshal(dump.Bytes(), &held); err != nil {
		t.Fatal(err)
	}
	words := strings.Fields("置き配希望 平日午前 領収書は不要 ギフト包装 誕生日特典の案内を送る 會員日活動 僅限宅配 請先電話聯絡")
	chance, b := random(77), &bulk{rows: rows}
	for _, customer := range held.Customers {
		var line bytes.Buffer
		if err := json.Compact(&line, customer); err != nil {
			t.Fatal(err)
		}
		_, tail, _ := bytes.Cut(line.Bytes(), []byte(`,`)) // its own id goes
		tail = append([]byte(`"memo":"`+words[chance.IntN(len(words))]+" "+words[chance.IntN(len(words))]+`",`), tail...)
		b.tails = append(b.tails, append([]byte(`",`), tail...))
	}
	return b
}

// size is that of all lines, newlines included.
func (b *bulk) size() float64 {
	size := 0
	for n := range b.rows {
		size += len(`{"id":"123456789`) + len(b.tails[n%len(b.tails)]) + 1
	}
	return float64(size)
}

// page is the answer for the rows from start on.
func (b *bulk) page(start, limit int) []byte {
	page := make([]byte, 0, (len(b.tails[0])+100)*limit)
	page = append(page, `{"members":[`...)
	for n := start; n < min(start+limit, b.rows); n++ {
		if n > start {
			page = append(page, ',')
		}
		page = append(page, `{"id":"`...)
		page = strconv.AppendInt(page, int64(firstID+n), 10)
		page = append(page, b.tails[n%len(b.tails)]...)
	}
	return append(page, `]}`...)
}

func (b *bulk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	page := b.page(start, limit)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	_, _ = w.Write(page)
}

// widen makes all records about n bytes long.
func (b *bulk) widen(n int) {
	wide := append(append([]byte(`","wide":"`), bytes.Repeat([]byte("広い"), n/len("広い"))...), `"}`...)
	b.tails = [][]byte{wide}
}

// A sink is a local AWS that keeps no parts: it counts their lines as they come
// and remembers their metadata.
type sink struct {
	rest http.Handler

	mu    sync.Mutex
	lines int
	parts map[string]http.Header // by path
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/known/") || !strings.Contains(r.URL.Path, "/part-") {
		s.rest.ServeHTTP(w, r)
		return
	}
	s.mu.Lock()
	kept := s.parts[r.URL.Path]
	s.mu.Unlock()
	switch {
	case r.Method == http.MethodPut:
		s.put(w, r)
	case kept == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		for name, values := range kept {
			w.Header()[name] = values
		}
	}
}

func (s *sink) put(w http.ResponseWriter, r *http.Request) {
	kept := http.Header{"Etag": {`"` + uuid.NewString() + `"`}, "Content-Length": {strconv.FormatInt(r.ContentLength, 10)}}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			kept[name] = values
		}
	}
	body := io.Reader(r.Body)
	if strings.HasSuffix(r.URL.Path, ".gz") {
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = zip
	}
	lines, buffer := 0, make([]byte, 256<<10)
	for {
		n, err := body.Read(buffer)
		lines += bytes.Count(buffer[:n], []byte{'\n'})
		if err == io.EOF {
			break
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines += lines
	s.parts[r.URL.Path] = kept
	w.Header().Set("Etag", kept.Get("Etag"))
}

// counted returns the lines of the parts so far, and counts from 0 again.
func (s *sink) counted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.lines
	s.lines = 0
	return n
}

// A haul is a bulk and a sink on sockets, and the environment of an export that
// reads one into the other as fast as it can.
type haul struct {
	*bulk
	*sink

	aws  *awslocal.AWS
	vars map[string]string
	runs int
}

func newHaul(t testing.TB, rows int) *haul {
	t.Helper()
	local, err := awslocal.New(awslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = local.Close() })
	h := &haul{bulk: newBulk(t, rows), sink: &sink{rest: local.Handler(), parts: map[string]http.Header{}}, aws: local}
	h.vars = connected(t, h.bulk, local, h.sink)
	return h
}

// connected serves a member list and a local AWS behind a handler, and returns the
// environment of an export that reads one into the other as fast as it can.
func connected(t testing.TB, list http.Handler, local *awslocal.AWS, door http.Handler) map[string]string {
	t.Helper()
	source, err := localstack.Serve(t.Context(), "127.0.0.1:0", list)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := localstack.Serve(t.Context(), "127.0.0.1:0", door)
	if err != nil {
		t.Fatal(err)
	}
	token := localstack.NewSandbox(providers.Yappli, sandbox.Options{}).Token(source)
	if err := local.Secrets.Create(t.Context(), secretstore.Name(localstack.Prefix, providers.Yappli, secretstore.TokenPart), uuid.NewString(), token.Document()); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": awslocal.Region, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"HIKYAKU_PREFIX": localstack.Prefix, "HIKYAKU_BUCKET": awslocal.Bucket, "HIKYAKU_ALLOW_HOSTS": "127.0.0.1",
		"HIKYAKU_EXPORT_PAGE_SIZE": strconv.Itoa(bulkPage), "HIKYAKU_EXPORT_IN_FLIGHT": "16",
		"HIKYAKU_YAPPLI_RATE": strconv.Itoa(anyRate), "HIKYAKU_YAPPLI_SHARE": "1",
	}
}

// trigger is the event of a new run.
func (h *haul) trigger() string {
	h.runs++
	return event("yappli/users", h.runs)
}
