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

// BenchmarkDecodeUsers decodes a page of 50 members.
func BenchmarkDecodeUsers(b *testing.B) {
	page, err := connect(quick(50)).UsersPage(b.Context(), yappli.UsersQuery{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := yappli.DecodeUsers(page); err != nil {
			b.Fatal(err)
		}
	}
}
