// Package sandbox is what the providers' sandboxes share, for tests of one's own
// code against them and for sandboxes of further providers.
//
// Each provider's sandbox lies beside its client: actibook/actibooktest,
// assisttencho/assisttenchotest, shopline/shoplinetest, supersaas/supersaastest
// and yappli/yapplitest. Its New takes Options and returns an http.Handler with
// invented records, which behaves as the provider's documents say. Serve it on a
// socket, or call it in-process through Client, which works in a testing/synctest
// bubble. Connection and Token are what a client needs to call it, Inject and
// SetFaults make it misbehave, and Calls says what it was asked:
//
//	shop := supersaastest.New(sandbox.Options{Records: 20})
//	client := supersaas.New(providers.Fixed(shop.Token("https://shop.test")), &providers.Options{HTTP: shop.Client()})
//	shop.Inject(sandbox.Fault{Kind: sandbox.Lost, Route: "POST /api/users"})
//
// A sandbox may also live on for days, as in 'hikyaku dev': Options.Keeper keeps its state
// over a killed process, ByHand is what a person does on the provider's own pages, and
// SetTrouble lets something go wrong until it is switched off; see Latency and what
// follows it.
//
// To make a sandbox, embed a Server and register its routes with Handle: routing,
// faults, the account's rate limit and the list of calls come with it, as do
// Tokens and NewPerson, which invents people. A Server is safe for concurrent use.
// Its handlers run one at a time, so a sandbox needs no lock for its records.
package sandbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// Options configure a sandbox. The zero value is ready for use.
type Options struct {
	Seed    uint64           // seeds data and random faults; equal seeds, equal sandboxes
	Records int              // records of each dataset; 0: 120, negative: none
	Rate    float64          // requests allowed per second; 0: the provider's limit, negative: no limit
	Window  time.Duration    // over which they are counted, and slide; 0: a second, or as the provider counts
	Spare   int              // requests allowed beyond that, for callers that do not know of each other
	Now     func() time.Time // nil: time.Now
	Faults  Faults           // random misbehavior; see also Server.Inject

	// Keeper keeps the state, so that a sandbox which is opened with it again goes on
	// where the process of the last one ended, however it did; Seed and Records then
	// count no more. What was invented and never changed is kept as its number only.
	// Nil: the state ends with the process.
	Keeper Keeper
	// MaxCalls is how many calls are remembered at most, the newest; 0: all.
	MaxCalls int
	// Observe is told of each call once it is answered, just before the client has
	// the answer. It must be safe for concurrent use, and quick.
	Observe func(Call)
}

// Count returns the number of records to make.
func (o Options) Count() int {
	switch {
	case o.Records == 0:
		return 120
	case o.Records < 0:
		return 0
	}
	return o.Records
}

// A Handler answers one request. Handlers of one Server never run at the same
// time.
type Handler func(w http.ResponseWriter, r *Request)

// A Server routes, misbehaves and remembers for one provider's sandbox.
type Server struct {
	*callLog
	*origin
	*troublemaker

	provider string
	mux      *http.ServeMux
	now      func() time.Time

	injected Injector

	unlimited map[string]bool // routes, set before the first request
	refusal   Refusal
	windowed  bool // Options asked for a window

	handling sync.Mutex // held while a handler runs

	journal *Journal

	mu      sync.Mutex
	random  *rand.Rand
	faults  Faults
	limiter limiter
}

// NewServer returns a server without routes. rate is the provider's own limit.
func NewServer(provider string, rate float64, o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rate != 0 {
		rate = o.Rate
	}
	journal := &Journal{keeper: o.Keeper, prefix: provider + "/"}
	return &Server{
		callLog: newCallLog(o), origin: newOrigin(o, journal), troublemaker: newTroublemaker(provider, o), journal: journal,
		provider: provider, mux: http.NewServeMux(), unlimited: map[string]bool{}, now: o.Now, faults: o.Faults,
		limiter: limiter{rate: rate, period: cmp.Or(o.Window, time.Second), spare: o.Spare}, windowed: o.Window > 0,
		refusal: func(w http.ResponseWriter, _ *Request, status int, code string) {
			JSON(w, status, map[string]string{"error": code})
		},
		random: rand.New(rand.NewPCG(o.Seed, 0x68696b79616b75)),
	}
}

// Provider returns the provider's name.
func (s *Server) Provider() string { return s.provider }

// Now returns the sandbox's time.
func (s *Server) Now() time.Time { return s.now() }

// Handle registers a route in the form of http.ServeMux, with its method.
func (s *Server) Handle(route string, h Handler) {
	s.mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, route, h)
	})
}

// HandleUnlimited is Handle for a route that the account's rate limit does not
// count: a page that a person opens, or a token endpoint whose provider limits
// only the calls of its API.
func (s *Server) HandleUnlimited(route string, h Handler) {
	s.unlimited[route] = true
	s.Handle(route, h)
}

// A Refusal answers a request that no handler gets to see, with a status and a word
// for it: 401 invalid_token, 404 not_found, 429 rate_limited, 503 unavailable.
type Refusal func(w http.ResponseWriter, r *Request, status int, code string)

// RefuseWith gives these answers, {"error":code} otherwise, the provider's own shape.
// Call it before the first request.
func (s *Server) RefuseWith(refusal Refusal) { s.refusal = refusal }

// ServeHTTP serves a request as the provider would, or misbehaves as asked.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, route := s.mux.Handler(r)
	if route == "" {
		s.serve(w, r, r.Method+" (no such route)", func(w http.ResponseWriter, r *Request) {
			s.refusal(w, r, http.StatusNotFound, "not_found")
		})
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, route string, h Handler) {
	began := time.Now()
	request := readRequest(s.provider, route, r)
	fault := s.admit(route)
	met := s.meet(request, route, s.unlimited[route])
	if fault.Kind == None {
		fault = met.fault
	}
	Pause(r.Context(), s.delay(fault)+met.delay)
	answer := s.answer(request, fault, h)
	if fault.Kind == Garbage {
		answer = garbage()
	}
	answer = met.lie(answer)
	frame(answer)
	call := Call{Route: route, Path: r.URL.Path, Status: answer.Code, Fault: cmp.Or(met.named, fault.Kind), Time: s.now(), Elapsed: time.Since(began)}
	if fault.Kind.cuts() {
		call.Status = 0
		s.remember(call)
		cut(w, answer, fault.Kind)
		return
	}
	s.remember(call)
	send(w, answer)
}

// answer runs a handler, unless a fault comes first, and keeps what it changed.
func (s *Server) answer(request *Request, fault Fault, h Handler) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	answer.Body.Grow(512)
	if fault.happensFirst() {
		fault.refuse(answer, request, s.refusal)
		return answer
	}
	if s.journal.broken() == nil {
		s.handle(func() { h(answer, request) })
	}
	if s.journal.Commit() != nil {
		answer = httptest.NewRecorder()
		s.refusal(answer, request, http.StatusServiceUnavailable, "unavailable")
	}
	return answer
}

// Do runs f while no handler runs, for tests and commands that change records
// by hand. A panic of f leaves the sandbox usable: net/http survives it, and
// the next request must not wait for ever.
//
// What f changes is kept once Do returns; see Err.
func (s *Server) Do(f func()) {
	s.handle(f)
	_ = s.journal.Commit() // what failed is tried again with the next, and Err says it
}

// handle runs f, whose changes are kept together or not at all.
func (s *Server) handle(f func()) {
	s.handling.Lock()
	defer s.handling.Unlock()
	s.journal.begin()
	defer s.journal.end()
	f()
}

// Client returns an HTTP client that calls the sandbox in-process, whatever
// host a request names.
func (s *Server) Client() *http.Client { return &http.Client{Transport: Transport(s)} }

// JSON writes v with a status.
func JSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}

// Encoded writes JSON that is encoded already, with status 200.
func Encoded(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(body)
}

// frame adds to an answer that is held whole what its headers lack. Clients
// rely on both: Node's of SuperSaaS reads a body only if its length is
// announced, and fails without a media type even where there is no body.
func frame(answer *httptest.ResponseRecorder) {
	header := answer.Header()
	if answer.Code == http.StatusNoContent || answer.Code == http.StatusNotModified {
		return // net/http refuses a length there
	}
	header.Set("Content-Length", strconv.Itoa(answer.Body.Len()))
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json; charset=utf-8")
	}
}

func send(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// Record encodes v, which comes from JSON or consists of texts and numbers, as
// a list serves it: on one line, with < > & and Japanese as they are.
func Record(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSpace(b.Bytes())
}

// Dump writes records as indented JSON.
func Dump(w io.Writer, records any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(records)
}
