package shoplinetest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// archivePath is where reports are downloaded. At the provider they lie in S3,
// at addresses that need no token.
const archivePath = "/archived_orders/"

// reports are the archived orders that were asked for.
type reports struct {
	set     *Settings
	records *Records

	mu      sync.Mutex
	files   map[string][]byte // by name
	sent    []Callback
	most    int                     // of sent; 0: all
	waiting map[string]keptCallback // by job
	running sync.WaitGroup

	journal         *sandbox.Journal
	kept, callbacks *sandbox.Section // files, and messages that were not answered
}

// A Callback is the message that a report is ready, as it went.
type Callback struct {
	Target string
	Body   []byte
	Status int   // 0: no answer
	Err    error // of the transport
}

// Callbacks waits for those under way and returns all, in the order in which
// the answers came; of more than Options.MaxCalls the newest.
func (s *Server) Callbacks() []Callback {
	s.reports.running.Wait()
	s.reports.mu.Lock()
	defer s.reports.mu.Unlock()
	sent := s.reports.sent
	if most := s.reports.most; most > 0 && len(sent) > most {
		sent = sent[len(sent)-most:]
	}
	return slices.Clone(sent)
}

// reportRequest is the body of the call.
type reportRequest struct {
	Filters struct {
		Start string `json:"start_date"`
		End   string `json:"end_date"`
	} `json:"filters"`
	Callback string `json:"callback_url"`
}

// request answers the job at once and posts its result to callback_url.
// What the documents leave open is the sandbox's invention: the job's fields,
// and that the file is an array of orders.
func (p *reports) request(w http.ResponseWriter, r *sandbox.Request) {
	var asked reportRequest
	if err := json.Unmarshal(r.Raw, &asked); err != nil {
		refuse(w, http.StatusUnprocessableEntity, "UnprocessableEntity", "the body is no JSON of a report")
		return
	}
	start, startErr := time.Parse(time.RFC3339Nano, asked.Filters.Start)
	end, endErr := time.Parse(time.RFC3339Nano, asked.Filters.End)
	switch {
	case startErr != nil || endErr != nil:
		refuse(w, http.StatusUnprocessableEntity, "UnprocessableEntity", "filters needs start_date and end_date, such as 2024-07-29T16:00:00.000Z")
		return
	case end.Before(start):
		refuse(w, http.StatusUnprocessableEntity, "UnprocessableEntity", "end_date is before start_date")
		return
	case !p.reachable(asked.Callback):
		refuse(w, http.StatusUnprocessableEntity, "UnprocessableEntity", "callback_url is not reachable")
		return
	}
	job := p.keep(p.records.archived(start, end))
	sandbox.JSON(w, http.StatusOK, map[string]any{"message": []any{map[string]string{
		"job_id": job, "status": "pending", "start_date": asked.Filters.Start, "end_date": asked.Filters.End, "callback_url": asked.Callback,
	}}})
	body := sandbox.Record(map[string]any{
		"topic": "order/get_archived_order", "event": "Order", "job_id": job, "merchant_id": MerchantID, "merchant_handle": Handle,
		"start_date": asked.Filters.Start, "end_date": asked.Filters.End, "status": "success", "error_message": nil,
		"download_links": []string{origin(r) + archivePath + job + ".json"},
	})
	p.announce(job, keptCallback{asked.Callback, string(body)})
}

func origin(r *sandbox.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// keep stores a report's file under the name of its job, which only who
// was told of it knows.
func (p *reports) keep(orders []json.RawMessage) (job string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	job = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "report %d of %d", len(p.files), p.records.seed)))[:24]
	p.files[job+".json"] = sandbox.Record(orders)
	p.kept.Put(job+".json", string(p.files[job+".json"]))
	return job
}

func (p *reports) download(w http.ResponseWriter, r *sandbox.Request) {
	p.mu.Lock()
	file, found := p.files[r.PathValue("file")]
	p.mu.Unlock()
	if !found {
		refuse(w, http.StatusNotFound, "NotFound", "no such file")
		return
	}
	sandbox.Encoded(w, file)
}

// reachable refuses what the provider cannot post to from the internet, unless
// AllowLocal.
func (p *reports) reachable(target string) bool {
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" {
		return false
	}
	if p.set.AllowLocal {
		return u.Scheme == "https" || u.Scheme == "http"
	}
	ip, err := netip.ParseAddr(u.Hostname())
	local := err == nil && (!ip.IsGlobalUnicast() || ip.IsPrivate()) || strings.EqualFold(u.Hostname(), "localhost")
	return u.Scheme == "https" && !local
}

// announce calls back once it is kept that there is something to call back for, and
// keeps the message until it was posted.
func (p *reports) announce(job string, message keptCallback) {
	p.callbacks.Put(job, message)
	p.journal.Then(func() { p.running.Go(func() { p.callBack(job, message) }) })
}

// PostWaiting calls back for the reports that a process left which was killed before it
// had an answer. One of the messages may have arrived already.
func (s *Server) PostWaiting() {
	p := &s.reports
	p.mu.Lock()
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	for job, message := range waiting {
		p.callBack(job, message)
	}
}

func (p *reports) callBack(job string, message keptCallback) {
	done := Callback{Target: message.Target, Body: []byte(message.Body)}
	done.Status, done.Err = sandbox.Post(p.set.Poster, done.Target, done.Body)
	p.callbacks.Delete(job)
	p.callbacks.Commit()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, done)
	if p.most > 0 && len(p.sent) >= 2*p.most {
		p.sent = slices.Clone(p.sent[len(p.sent)-p.most:])
	}
}
