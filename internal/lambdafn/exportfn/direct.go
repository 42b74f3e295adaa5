package exportfn

import (
	"cmp"
	"context"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/s3store"
	"hikyaku/internal/pagination"
)

// A Target is where a person's export goes instead of into the stack's own
// bucket. Tokens and settings are still the stack's.
type Target struct {
	Objects objectstore.Store // nil: the bucket
	Bucket  string
	Prefix  string // leads all keys; may be empty
}

// A Direct is the export as a person runs it, without a function around it.
type Direct struct {
	Objects objectstore.Store
	Core    *export.Exporter

	function *Function
	feeds    *feeds
	settings Settings
}

// Open wires the export to a target; nil is the stack's own bucket, where its
// runs are those of the function. It makes no network call.
func Open(e lambdafn.Environ, t *Target) (*Direct, error) {
	s, err := lambdafn.Load[Settings](e)
	if err != nil {
		return nil, err
	}
	base := lambdafn.Open(e, s.Common)
	if t != nil {
		s.Bucket, s.Prefix = t.Bucket, t.Prefix
		base.Objects = t.Objects
		if t.Objects == nil {
			base.Objects = s3store.New(base.AWS, t.Bucket)
		}
	}
	f, err := compose(base, s)
	if err != nil {
		return nil, err
	}
	zone, err := export.LoadZone(s.TimeZone)
	if err != nil {
		return nil, err
	}
	return &Direct{Objects: base.Objects, Core: f.core, function: f, feeds: newFeeds(base, s, zone), settings: s}, nil
}

// Dataset finds an enabled dataset by name, with its settings.
func (d *Direct) Dataset(name string) (export.Dataset, error) { return d.function.dataset(name) }

// A Pace is how a dataset is asked.
type Pace struct {
	Paging    pagination.Paging
	PageSize  int     // rows asked for at once
	PerSecond float64 // requests, at most
	StopAhead time.Duration
}

// defaultPage stands for a page size that is the provider's own.
const defaultPage = 50

// Pace reads the provider's token, which holds its quirks, and asks nobody
// else.
func (d *Direct) Pace(ctx context.Context, dataset export.Dataset) (Pace, error) {
	feed, err := d.feeds.open(ctx, dataset, []string{}, "")
	return Pace{
		Paging: feed.Paging, PageSize: cmp.Or(feed.PageSize, defaultPage),
		PerSecond: d.feeds.limits[dataset.String()].Rate(), StopAhead: d.settings.StopAhead,
	}, err
}
