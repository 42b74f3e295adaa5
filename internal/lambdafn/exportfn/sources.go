package exportfn

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// feeds opens the datasets' feeds.
type feeds struct {
	base     *lambdafn.Base
	settings Settings
	zone     *time.Location
	tokens   map[string]*secretstore.Tokens
	limits   map[string]*providers.Pace // by dataset
}

func newFeeds(base *lambdafn.Base, s Settings, zone *time.Location) *feeds {
	f := &feeds{base: base, settings: s, zone: zone, tokens: map[string]*secretstore.Tokens{}, limits: map[string]*providers.Pace{}}
	shared := map[string]float64{}
	for _, d := range s.datasets() {
		shared[d.Provider]++
		f.tokens[d.Provider] = base.Tokens(d.Provider)
	}
	for _, d := range s.datasets() {
		r := s.rates()[d.Provider]
		f.limits[d.String()] = providers.NewPace(r.rate * r.share / shared[d.Provider])
	}
	return f
}

// open returns the feed of a dataset, as its account's quirks have it.
func (f *feeds) open(ctx context.Context, d export.Dataset, passes []string, shape string) (export.Feed, error) {
	source := f.tokens[d.Provider]
	token, err := source.Token(ctx)
	if err != nil {
		return export.Feed{}, fmt.Errorf("reading the token of %s: %w", d.Provider, err)
	}
	count := &counting{next: cmp.Or[http.RoundTripper](f.base.HTTP.Transport, http.DefaultTransport)}
	options := f.base.Options()
	options.MaxBody, options.MaxRecord = f.settings.BodyMiB<<20, f.settings.RecordMiB<<20
	options.MaxSpool = f.settings.SpoolMiB << 20
	options.HTTP = &http.Client{Timeout: f.base.HTTP.Timeout, Transport: count}
	options.Limiter = f.limits[d.String()]
	options.Attempts = attempts
	options.Buffers = &providers.Buffers{}
	feed, err := d.Open(ctx, export.Account{
		Source: source, Token: token, Options: options, PageSize: f.settings.PageSize, Zone: f.zone,
		Schedules: f.settings.Schedules, Passes: passes, Shape: shape,
	})
	feed.Traffic, feed.Attempts, feed.Release = count.traffic, attempts, options.Buffers.Put
	return feed, err
}

// attempts is how often one request is sent before its call fails.
const attempts = 4

// counting counts what a feed's requests meet.
type counting struct {
	next                          http.RoundTripper
	requests, rateLimited, failed atomic.Int64
}

// RoundTrip sends the request and counts the answer.
func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	response, err := c.next.RoundTrip(r)
	switch {
	case r.Context().Err() != nil: // no longer wanted
	case err != nil:
		c.failed.Add(1)
	case response.StatusCode == http.StatusTooManyRequests:
		c.rateLimited.Add(1)
	case response.StatusCode < 200 || response.StatusCode > 299:
		c.failed.Add(1)
	}
	return response, err
}

func (c *counting) traffic() export.Traffic {
	return export.Traffic{Requests: c.requests.Load(), RateLimited: c.rateLimited.Load(), Failed: c.failed.Load()}
}
