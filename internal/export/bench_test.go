package export_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

const (
	benchPages = 400
	benchRows  = 250
	benchStep  = benchRows - 1 // each page begins with the last row of the one before
)

// benchPage is an answer of 250 records of about 1 KB.
func benchPage(number int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i := range benchRows {
		if i > 0 {
			b.WriteByte(',')
		}
		n := number*benchStep + i
		fmt.Fprintf(&b, `{"id":"%024x","order_number":"2026%08d","status":"completed","currency_iso":"TWD","total":{"cents":%d,"currency_symbol":"NT$","label":"NT$%d","dollars":%d.0},"customer_name":"王小明 %d","customer_phone":"0900000000","delivery_address":{"city":"台北市","district":"信義區","address_1":"信義路五段%d號","recipient_name":"陳美玲"},"order_delivery":{"delivery_status":"shipped","shipped_at":"2026-10-%02dT03:04:05.678+00:00","updated_at":null},"subtotal_items":[`, n, n, n*7919%100000, n*7919%100000, n*7919%100000, n, n%900, n%28+1)
		for j := range 2 {
			fmt.Fprintf(&b, `{"id":"%024x","item_type":"Product","quantity":%d,"sku":"SKU-%05d","title_translations":{"zh-hant":"有機棉質T恤（限定色）","ja":"オーガニックコットンTシャツ"},"price":{"cents":%d}},`, n*10+j, j+1, n%50000, n*31%10000)
		}
		fmt.Fprintf(&b, `{}],"tags":["vip","%d"],"created_at":"2026-10-02T03:04:05.678+00:00","updated_at":"2026-10-%02dT03:04:05.678+00:00","remark":"%s"}`, n%7, n%28+1, strings.Repeat("置き配希望 ", n%5))
	}
	b.WriteString(`],"pagination":{"current_page":1,"per_page":250}}`)
	return b.Bytes()
}

// replay serves the same pages again and again, without a copy that a network
// would not make either.
type replay struct {
	pages [][]byte
	end   []byte // the last row alone
}

func (r replay) Page(_ context.Context, q pagination.Query) ([]byte, error) {
	n := q.Start / benchStep
	if n >= benchPages {
		return bytes.Clone(r.end), nil
	}
	return bytes.Clone(r.pages[n]), nil
}

func benchSource() (replay, int64) {
	var r replay
	var size int64
	for n := range benchPages {
		r.pages = append(r.pages, benchPage(n))
		size += int64(len(r.pages[n]))
	}
	last := r.pages[benchPages-1]
	r.end = slices.Concat([]byte(`{"items":[`), last[bytes.LastIndex(last, []byte(`{"id":"`+fmt.Sprintf("%024x", benchPages*benchStep)+`","order_number"`)):])
	return r, size
}

func BenchmarkExtract(b *testing.B) {
	source, size := benchSource()
	for _, compressed := range []bool{true, false} {
		b.Run(fmt.Sprintf("gzip %t", compressed), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				s := newBench(b, newList(pagination.ByCursor, 0))
				s.store = discard{&objectstore.Memory{}}
				s.set.Gzip, s.set.PartBytes = compressed, 0
				s.serve(source)
				s.feed.PageSize = benchRows
				if a := s.extract(due); a.Rows != benchPages*benchStep+1 {
					b.Fatal(a.Rows)
				}
			}
		})
	}
}

// discard keeps parts' metadata only.
type discard struct{ *objectstore.Memory }

func (d discard) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if strings.Contains(o.Key, "/part-") {
		o.Body, o.Size = strings.NewReader(""), 0
	}
	return d.Memory.Put(ctx, o)
}

// BenchmarkCeiling is the least work that any exporter of valid, hashed JSON
// lines has: split, gzip, SHA-256.
func BenchmarkCeiling(b *testing.B) {
	source, size := benchSource()
	for _, compressed := range []bool{true, false} {
		b.Run(fmt.Sprintf("gzip %t", compressed), func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
				sum := sha256.New()
				var d jsontext.Decoder
				for _, p := range source.pages {
					ceilingPage(b, &d, p, func(line []byte) {
						sum.Write(line)
						if compressed {
							_, _ = z.Write(line)
						}
					})
				}
				_ = z.Close()
			}
		})
	}
}

func ceilingPage(b *testing.B, d *jsontext.Decoder, p []byte, yield func([]byte)) {
	d.Reset(bytes.NewBuffer(p), jsontext.AllowDuplicateNames(true))
	for range 3 { // { "items" [
		if _, err := d.ReadToken(); err != nil {
			b.Fatal(err)
		}
	}
	for d.PeekKind() != ']' {
		v, err := d.ReadValue()
		if err != nil && !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
		yield(v)
	}
}
