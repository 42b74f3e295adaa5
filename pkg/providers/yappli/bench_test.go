package yappli_test

import (
	"testing"

	"hikyaku/pkg/providers/yappli"
)

// BenchmarkUpdate is one update of a 50-column member through client and
// sandbox, in-process.
func BenchmarkUpdate(b *testing.B) {
	s := quick(100)
	c := connect(s)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.UpdateUser(b.Context(), "1001", yappli.Fields{"column01": yappli.Text("山田 花子"), "column02": yappli.Text("2000-12-31")}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeMember decodes a page of 50 members.
func BenchmarkDecodeMember(b *testing.B) {
	page, err := connect(quick(50)).ReadUsers(b.Context(), yappli.UsersQuery{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(page.Body)))
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range page.Records {
			if _, err := yappli.DecodeMember(page.Bytes(r)); err != nil {
				b.Fatal(err)
			}
		}
	}
}
