package shoplinetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// callbackTimeout is how long the sandbox waits for a receiver. The provider's
// own patience is not documented.
const callbackTimeout = 5 * time.Second

// archivePath is where reports are downloaded. At the provider they lie in S3,
// at addresses that need no token.
const archivePath = "/archived_orders/"

// reports are the archived orders that were asked for.
type reports struct {
	mu      sync.Mutex
	files   map[string][]byte // by name
	sent    []Callback
	running sync.WaitGroup
}

// A Callback is the message that a report is ready, as it went.
type Callback struct {
	Target string
	Body   []byte
	Status int   // 0: no answer
	Err    error // of the transport
}

// Callbacks waits for those under way and returns all, in the order in which
// the answers came.
func (s *Server) Callbacks() []Callback {
	s.reports.running.Wait()
	s.reports.mu.Lock()
	defer s.reports.mu.Unlock()
	return append([]Callback(nil), s.reports.sent...)
}

// reportRequest is the body of the call.
type reportRequest struct {
	Filters struct {
		Start string `json:"start_date"`
		End   string `json:"end_date"`
	} `json:"filters"`
	Callback string `json:"callback_url"`
}

// requestReport answers the job at once and posts its result to callback_url.
// What the documents leave open is the sandbox's invention: the job's fields,
// and that the file is an array of orders.
func (s *Server) requestReport(w http.ResponseWriter, r *sandbox.Request) {
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
	case !s.reachable(asked.Callback):
		refuse(w, http.StatusUnprocessableEntity, "UnprocessableEntity", "callback_url is not reachable")
		return
	}
	job := s.keepReport(s.archived(start, end))
	sandbox.JSON(w, http.StatusOK, map[string]any{"message": []any{map[string]string{
		"job_id": job, "status": "pending", "start_date": asked.Filters.Start, "end_date": asked.Filters.End, "callback_url": asked.Callback,
	}}})
	body := encode(map[string]any{
		"topic": "order/get_archived_order", "event": "Order", "job_id": job, "merchant_id": MerchantID, "merchant_handle": Handle,
		"start_date": asked.Filters.Start, "end_date": asked.Filters.End, "status": "success", "error_message": nil,
		"download_links": []string{origin(r) + archivePath + job + ".json"},
	})
	s.reports.running.Go(func() { s.callBack(asked.Callback, body) })
}

func origin(r *sandbox.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// archived returns the archived orders made in a time, both ends included.
func (s *Server) archived(start, end time.Time) []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []json.RawMessage{}
	for _, row := range s.orders.rows {
		made := row.times[created]
		if row.archived && made >= start.UnixMilli() && made <= end.UnixMilli() {
			found = append(found, s.orders.json(row))
		}
	}
	return found
}

// keepReport stores a report's file under the name of its job, which only who
// was told of it knows.
func (s *Server) keepReport(orders []json.RawMessage) (job string) {
	s.reports.mu.Lock()
	defer s.reports.mu.Unlock()
	if s.reports.files == nil {
		s.reports.files = map[string][]byte{}
	}
	job = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "report %d of %d", len(s.reports.files), s.seed)))[:24]
	s.reports.files[job+".json"] = encode(orders)
	return job
}

func (s *Server) downloadReport(w http.ResponseWriter, r *sandbox.Request) {
	s.reports.mu.Lock()
	file, found := s.reports.files[r.PathValue("file")]
	s.reports.mu.Unlock()
	if !found {
		refuse(w, http.StatusNotFound, "NotFound", "no such file")
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(file)
}

// reachable refuses what the provider cannot post to from the internet, unless
// AllowLocal.
func (s *Server) reachable(target string) bool {
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" {
		return false
	}
	if s.AllowLocal {
		return u.Scheme == "https" || u.Scheme == "http"
	}
	ip, err := netip.ParseAddr(u.Hostname())
	local := err == nil && (!ip.IsGlobalUnicast() || ip.IsPrivate()) || strings.EqualFold(u.Hostname(), "localhost")
	return u.Scheme == "https" && !local
}

func (s *Server) callBack(target string, body []byte) {
	client := http.Client{Transport: s.Poster, Timeout: callbackTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	done := Callback{Target: target, Body: body}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, bytes.NewReader(body))
	if err == nil {
		request.Header.Set("Content-Type", "application/json")
		var answer *http.Response
		if answer, err = client.Do(request); err == nil {
			done.Status = answer.StatusCode
			_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
			_ = answer.Body.Close()
		}
	}
	done.Err = err
	s.reports.mu.Lock()
	defer s.reports.mu.Unlock()
	s.reports.sent = append(s.reports.sent, done)
}
