// Command load posts webhooks at a steady rate, as the booking page does, from a process of its
// own, so that what is measured of a stack is not measured in its neighborhood:
//
//	load -to http://127.0.0.1:8900/webhook/… -rate 1000 -for 60s -users 20450001,20450002
//
// It prints one JSON object: how many were posted, how many were acknowledged, and how long the
// answers took, from when each was due.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// workers is how many requests are under way at most.
const workers = 128

type result struct {
	Posted       int     `json:"posted"`
	Acknowledged int     `json:"acknowledged"`
	Late         int     `json:"late"` // more than a second after they were due
	P50          float64 `json:"p50_ms"`
	P95          float64 `json:"p95_ms"`
	Max          float64 `json:"max_ms"`
	Fault        string  `json:"fault,omitempty"` // the first
}

func main() {
	to := flag.String("to", "", "`address` of the webhooks")
	rate := flag.Int("rate", 100, "webhooks a second")
	lasts := flag.Duration("for", 20*time.Second, "how `long`")
	users := flag.String("users", "", "`ids` of the users that changed, with commas")
	flag.Parse()
	if *to == "" || *users == "" || *rate < 1 {
		flag.Usage()
		os.Exit(2)
	}
	r := run(*to, *rate, *lasts, strings.Split(*users, ","))
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
}

// run posts each webhook when it is due, whether or not the ones before have been answered.
func run(to string, rate int, lasts time.Duration, users []string) result {
	ctx, cancel := context.WithTimeout(context.Background(), lasts+30*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	due := make(chan int, rate*2)
	begun := time.Now()
	at := func(n int) time.Time { return begun.Add(time.Duration(n) * time.Second / time.Duration(rate)) }
	var (
		mu    sync.Mutex
		r     result
		times []time.Duration
		group sync.WaitGroup
	)
	for range workers {
		group.Go(func() {
			for n := range due {
				err := post(ctx, client, to, users[n%len(users)])
				took := time.Since(at(n))
				mu.Lock()
				r.Posted++
				if err == nil {
					r.Acknowledged++
				} else if r.Fault == "" {
					r.Fault = err.Error()
				}
				if took > time.Second {
					r.Late++
				}
				times = append(times, took)
				mu.Unlock()
			}
		})
	}
	for n := range int(lasts.Seconds() * float64(rate)) {
		time.Sleep(time.Until(at(n)))
		due <- n
	}
	close(due)
	group.Wait()
	slices.Sort(times)
	part := func(p int) float64 { return float64(times[(len(times)-1)*p/100].Microseconds()) / 1000 }
	if len(times) > 0 {
		r.P50, r.P95, r.Max = part(50), part(95), part(100)
	}
	return r
}

func post(ctx context.Context, client *http.Client, to, user string) error {
	body := fmt.Sprintf(`{"event":"change","id":%s,"name":"load@example.com","full_name":"Load","deleted":false,"role":3}`, user)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}
