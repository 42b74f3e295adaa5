package proveexport

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/objectstore"
	"hikyaku/pkg/providers"
)

// childMode names what a child process does, beside the environment of an
// export. The child prints a spent.
const childMode = "HIKYAKU_CHILD"

// spent is what a child's work took. It counts from when the work began, so
// that starting a process costs nobody anything.
type spent struct {
	CPU float64 // seconds, user and system, of this process alone
}

// TestMain is also the way into a child process.
func TestMain(m *testing.M) {
	mode := os.Getenv(childMode)
	if mode == "" {
		debug.SetGCPercent(400) // the tests make much garbage and keep little
		os.Exit(m.Run())
	}
	s, err := child(mode, lambdafn.OSEnviron())
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cpuNow() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func child(mode string, e lambdafn.Environ) (spent, error) {
	e.Out = io.Discard
	if mode == "product" {
		f, err := exportfn.New(context.Background(), e)
		if err != nil {
			return spent{}, err
		}
		debug.SetGCPercent(20) // as functions/export does
		began := cpuNow()
		_, err = f.Invoke(context.Background(), []byte(e.Vars["HIKYAKU_TRIGGER"]))
		return spent{CPU: cpuNow() - began}, err
	}
	base, err := clibase.Open(e)
	if err != nil {
		return spent{}, err
	}
	token, err := base.Tokens(providers.Yappli).Token(context.Background())
	if err != nil {
		return spent{}, err
	}
	c := &rival{client: base.Options().HTTP, token: token, store: base.Objects, sum: sha256.New()}
	c.zip, _ = gzip.NewWriterLevel(&c.file, gzip.BestSpeed)
	return c.run(mode, e.Vars)
}

// A rival does the product's work in another way: pages as they come, same gzip,
// same hash, same store.
type rival struct {
	client *http.Client
	token  providers.Token
	store  objectstore.Store
	file   bytes.Buffer
	zip    *gzip.Writer
	sum    interface {
		io.Writer
		Sum([]byte) []byte
		Reset()
	}
	bare   bool // no gzip, no hash
	packed bool
	parts  int
	raw    int64 // of the part
	total  int64
}

func (c *rival) run(mode string, vars map[string]string) (spent, error) {
	ways := map[string]func([]byte) error{
		"ceiling": c.split, "splitter": c.splitOnly, "jsontext": c.validate,
		"map": c.viaMap, "map-bare": c.viaMap, "raw": c.viaRaw, "v2": c.viaV2,
	}
	way := ways[mode]
	c.packed, c.bare = vars["HIKYAKU_EXPORT_COMPRESSION"] != "none", mode == "map-bare"
	if mode == "ceiling" || mode == "splitter" || mode == "jsontext" {
		return c.alone(way)
	}
	began := cpuNow()
	for start := 0; ; start += bulkPage {
		page, err := c.page(start)
		if err != nil {
			return spent{}, err
		}
		before := c.total
		if err := way(page); err != nil {
			return spent{}, err
		}
		if c.total == before {
			break
		}
	}
	err := c.cut()
	return spent{CPU: cpuNow() - began}, err
}

// page returns the bytes of a page.
func (c *rival) page(start int) ([]byte, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, fmt.Sprintf("%s/api/ext/users?limit=%d&offset=%d", c.token.BaseURL, bulkPage, start), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token.Credential.Reveal())
	request.Header.Set("User-Agent", "hikyaku")
	answer, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("page at %d: %s", start, answer.Status)
	}
	return body, err
}

// alone works on pages that are there already: no client, no store.
func (c *rival) alone(way func([]byte) error) (spent, error) {
	var pages [][]byte
	for start := 0; ; start += bulkPage {
		page, err := c.page(start)
		if err != nil {
			return spent{}, err
		}
		if len(page) < 100 {
			break
		}
		pages = append(pages, page)
	}
	c.store = nil
	began := cpuNow()
	for _, page := range pages {
		if err := way(page); err != nil {
			return spent{}, err
		}
	}
	return spent{CPU: cpuNow() - began}, nil
}

// line adds one to the part.
func (c *rival) line(b []byte) error {
	if c.raw+int64(len(b))+1 > 64<<20 {
		if err := c.cut(); err != nil {
			return err
		}
	}
	c.raw += int64(len(b)) + 1
	c.total += int64(len(b)) + 1
	out := io.Writer(&c.file)
	if !c.bare {
		_, _ = c.sum.Write(b)
		_, _ = c.sum.Write([]byte{'\n'})
		if c.packed {
			out = c.zip
		}
	}
	if c.store == nil && !c.packed {
		return nil // the ceiling keeps nothing
	}
	_, err := out.Write(b)
	_, _ = out.Write([]byte{'\n'})
	if c.store == nil && c.file.Len() > 1<<20 {
		c.file.Reset()
	}
	return err
}

// cut stores the part.
func (c *rival) cut() error {
	name := "/part-" + strconv.Itoa(c.parts) + ".jsonl"
	if c.packed && !c.bare {
		if err := c.zip.Close(); err != nil {
			return err
		}
		name += ".gz"
	}
	if c.store != nil {
		_, err := c.store.Put(context.Background(), objectstore.Object{
			Key: name[1:], Body: bytes.NewReader(c.file.Bytes()), Size: int64(c.file.Len()),
			Metadata: map[string]string{"sha256": hex.EncodeToString(c.sum.Sum(nil))},
		})
		if err != nil {
			return err
		}
	}
	c.parts++
	c.raw = 0
	c.file.Reset()
	c.sum.Reset()
	c.zip.Reset(&c.file)
	return nil
}

// each calls f with each record, found by jsontext.
func each(page []byte, f func([]byte) error) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(page), jsontext.AllowDuplicateNames(true))
	for range 3 { // { "members" [
		if _, err := d.ReadToken(); err != nil {
			return err
		}
	}
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		if err := f(value); err != nil {
			return err
		}
	}
	return nil
}

func (c *rival) split(page []byte) error { return each(page, c.line) }

func (c *rival) splitOnly(page []byte) error { return each(page, func([]byte) error { return nil }) }

func (c *rival) validate(page []byte) error {
	if _, err := jsontext.NewDecoder(bytes.NewBuffer(page), jsontext.AllowDuplicateNames(true)).ReadValue(); err != nil {
		return err
	}
	return nil
}

func (c *rival) viaMap(page []byte) error {
	var list struct{ Members []map[string]any }
	if err := json.Unmarshal(page, &list); err != nil {
		return err
	}
	for _, member := range list.Members {
		b, err := json.Marshal(member)
		if err = errors.Join(err, c.line(b)); err != nil {
			return err
		}
	}
	return nil
}

func (c *rival) viaRaw(page []byte) error {
	var list struct{ Members []json.RawMessage }
	if err := json.Unmarshal(page, &list); err != nil {
		return err
	}
	for _, member := range list.Members {
		var b bytes.Buffer
		if err := errors.Join(json.Compact(&b, member), c.line(b.Bytes())); err != nil {
			return err
		}
	}
	return nil
}

func (c *rival) viaV2(page []byte) error {
	var list struct {
		Members []map[string]any `json:"members"`
	}
	if err := jsonv2.Unmarshal(page, &list); err != nil {
		return err
	}
	for _, member := range list.Members {
		b, err := jsonv2.Marshal(member)
		if err = errors.Join(err, c.line(b)); err != nil {
			return err
		}
	}
	return nil
}
