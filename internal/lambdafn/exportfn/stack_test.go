package exportfn

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A stack is the function over the four sandboxes and stores in memory, all
// in this process.
type stack struct {
	testing.TB

	yappli    *yapplitest.Server
	supersaas *supersaastest.Server
	shopline  *shoplinetest.Server
	assist    *assisttenchotest.Server

	vars    map[string]string
	secrets *secretstore.Memory
	objects *objectstore.Memory
	out     bytes.Buffer
	latency time.Duration // of every request
	padding string        // before the rows of a page of the full size
	halved  atomic.Bool   // a smaller page was asked for
	now     func() time.Time
	way     http.RoundTripper // to the providers; nil: straight to the sandboxes
	through objectstore.Store // to the objects; nil: straight
}

const records = 60

func newStack(t testing.TB) *stack {
	t.Helper()
	return newStackOf(t, records, func() time.Time { return time.Date(2026, 11, 22, 0, 31, 0, 0, time.UTC) })
}

// newStackOf is a stack whose sandboxes hold so many records.
func newStackOf(t testing.TB, records int, now func() time.Time) *stack {
	t.Helper()
	s := &stack{
		TB:        t,
		yappli:    yapplitest.New(sandbox.Options{Records: records, Rate: -1, Now: now}),
		supersaas: supersaastest.New(sandbox.Options{Records: records, Rate: -1, Now: now}),
		shopline:  shoplinetest.New(sandbox.Options{Records: records, Rate: -1, Now: now}),
		assist:    assisttenchotest.New(sandbox.Options{Records: records, Rate: -1, Now: now}),
		secrets:   &secretstore.Memory{}, objects: &objectstore.Memory{}, now: now,
		vars: map[string]string{
			"HIKYAKU_PREFIX": "shop", "HIKYAKU_BUCKET": "lake", "AWS_REGION": "ap-northeast-1",
			"AWS_ACCESS_KEY_ID": "invented", "AWS_SECRET_ACCESS_KEY": "invented",
			"HIKYAKU_TIME_ZONE": "Asia/Tokyo", "HIKYAKU_USER_AGENT": shoplinetest.Handle, "HIKYAKU_EXPORT_PAGE_SIZE": "17",
		},
	}
	s.shopline.StrictAgent = true // HIKYAKU_USER_AGENT is what the export sends
	s.yappli.Tokens.Life = 0      // for tests that take several days
	for _, name := range []string{"YAPPLI", "SUPERSAAS", "SHOPLINE", "ASSISTTENCHO"} {
		s.vars["HIKYAKU_"+name+"_RATE"] = "1000000"
	}
	for _, token := range []providers.Token{
		s.yappli.Token("http://yappli.test"), s.supersaas.Token("http://supersaas.test"),
		s.shopline.Token("http://shopline.test"), s.assist.Token("http://assist.test"),
	} {
		s.connect(token)
	}
	return s
}

func (s *stack) connect(token providers.Token) {
	s.Helper()
	name := secretstore.Name("shop", token.Provider, secretstore.TokenPart)
	if err := s.secrets.Create(s.Context(), name, "version-1-of-"+token.Provider+"-0123456789abcdef", token.Document()); err != nil {
		s.Fatal(err)
	}
}

// RoundTrip sends a request to the sandbox that its host names.
func (s *stack) RoundTrip(r *http.Request) (*http.Response, error) {
	client := map[string]*http.Client{
		"yappli.test": s.yappli.Client(), "supersaas.test": s.supersaas.Client(),
		"shopline.test": s.shopline.Client(), "assist.test": s.assist.Client(),
	}[r.URL.Host]
	if client == nil {
		return nil, fmt.Errorf("no sandbox at %s", r.URL.Host)
	}
	time.Sleep(s.latency)
	response, err := client.Transport.RoundTrip(r)
	if full := r.URL.Query().Get("limit") == s.vars["HIKYAKU_EXPORT_PAGE_SIZE"]; !full {
		s.halved.Store(true)
	} else if err == nil && s.padding != "" {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		if len(body) > 1000 { // it has rows
			response.ContentLength, body = -1, append([]byte(s.padding), body...)
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
	}
	return response, err
}

// function composes the function again, as a cold start does.
func (s *stack) function() *Function {
	s.Helper()
	e := lambdafn.Environ{Vars: s.vars, Out: &s.out, HTTP: cmp.Or[http.RoundTripper](s.way, s), Now: s.now}
	settings, err := lambdafn.Load[Settings](e)
	if err != nil {
		s.Fatal(err)
	}
	base := lambdafn.Open(e, settings.Common)
	base.Secrets, base.Objects = s.secrets, cmp.Or[objectstore.Store](s.through, s.objects)
	f, err := compose(base, settings)
	if err != nil {
		s.Fatal(err)
	}
	return f
}

// answer is an Answer or a reply.
type answer struct {
	export.Answer

	Runs []export.Answer `json:"runs"`
}

func (s *stack) invoke(ctx context.Context, payload []byte) (answer, error) {
	s.Helper()
	return s.invokeWarm(ctx, s.function(), payload)
}

// invokeWarm is invoke of a function that may have been invoked before.
func (s *stack) invokeWarm(ctx context.Context, f *Function, payload []byte) (answer, error) {
	s.Helper()
	raw, err := f.Invoke(ctx, payload)
	var a answer
	if err == nil {
		if err := json.Unmarshal(raw, &a); err != nil {
			s.Fatal(err)
		}
	}
	return a, err
}

func (s *stack) mustInvoke(payload string) answer {
	s.Helper()
	a, err := s.invoke(s.Context(), []byte(payload))
	if err != nil {
		s.Fatal(err)
	}
	return a
}

// lines returns the rows under a manifest after it has been verified.
func (s *stack) lines(manifest string) []string {
	s.Helper()
	v, err := export.Verify(s.Context(), s.objects, manifest)
	if err != nil || len(v.Faults) > 0 {
		s.Fatal(err, v.Faults)
	}
	var lines []string
	for _, p := range v.Manifest.Parts {
		_, body, err := s.objects.Get(s.Context(), p.Key)
		if err != nil {
			s.Fatal(err)
		}
		z, err := gzip.NewReader(body)
		if err != nil {
			s.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			s.Fatal(err)
		}
		for line := range strings.Lines(string(plain)) { // none if the part holds rejects only
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// held returns what the sandboxes hold of a dataset, in compact form.
func (s *stack) held(dataset string) []string {
	s.Helper()
	dump := map[string]func(io.Writer) error{
		"yappli": s.yappli.Dump, "supersaas": s.supersaas.Dump, "shopline": s.shopline.Dump, "assisttencho": s.assist.Dump,
	}
	provider, list, _ := strings.Cut(dataset, "/")
	var raw bytes.Buffer
	if err := dump[provider](&raw); err != nil {
		s.Fatal(err)
	}
	var document map[string]json.RawMessage
	var records []json.RawMessage
	if err := json.Unmarshal(raw.Bytes(), &document); err != nil {
		s.Fatal(err)
	}
	if err := json.Unmarshal(document[list], &records); err != nil {
		s.Fatal(err)
	}
	var lines []string
	for _, r := range records {
		var b bytes.Buffer
		if err := json.Compact(&b, r); err != nil {
			s.Fatal(err)
		}
		lines = append(lines, b.String())
	}
	return lines
}

// same reports whether two lists hold the same lines in any order.
func same(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func eventFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "events", "export", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
