package jsonscan_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"hikyaku/pkg/jsonscan"
)

// BenchmarkSplit splits a page of 200 records of 60 fields, in each form.
func BenchmarkSplit(b *testing.B) {
	var rows, wrapped []string
	for n := range 200 {
		var r strings.Builder
		fmt.Fprintf(&r, `{"id":"%d","login_id":"hanako%d@mail.example"`, n, n)
		for i := range 50 {
			fmt.Fprintf(&r, `,"column%02d":"山田 花子 %d"`, i+1, n*i)
		}
		r.WriteString(`,"created_at":"2026-03-01 00:00:00","enabled":1,"point":null}`)
		rows = append(rows, r.String())
		wrapped = append(wrapped, `{"member":`+r.String()+`}`)
	}
	for _, c := range []struct {
		name, body string
		shapes     []jsonscan.Shape
	}{
		{"array", "[" + strings.Join(rows, ",") + "]", shapes(array)},
		{"envelope", `{"items":[` + strings.Join(rows, ",") + `],"pagination":{"total_count":200}}`, shapes(items)},
		{"wrapped", `{"members":[` + strings.Join(wrapped, ",") + `]}`, shapes(table)},
		{"not wrapped, of three shapes", `{"members":[` + strings.Join(rows, ",") + `]}`, shapes(table, flat, inner)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			buf := make([]byte, 0, len(c.body)+1)
			for b.Loop() {
				buf = append(buf[:0], c.body...)
				if l, err := jsonscan.Split(buf, jsonscan.Limits{Body: 8 << 20, Record: 8 << 20, Elements: 10_000}, c.shapes...); err != nil || len(l.Records) != 200 {
					b.Fatal(len(l.Records), err)
				}
			}
		})
	}
	body := []byte("[" + strings.Join(rows, ",") + "]")
	b.Run("copying alone", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			_ = bytes.Clone(body)
		}
	})
}
