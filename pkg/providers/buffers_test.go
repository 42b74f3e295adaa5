package providers_test

import (
	"testing"

	"hikyaku/pkg/providers"
)

func TestBuffers_AreUsedAgain(t *testing.T) {
	t.Parallel()
	var b providers.Buffers
	first := append(b.Get(1000), "page"...)
	second := b.Get(1000)
	if &first[:1][0] == &second[:1][0] {
		t.Error("memory was lent twice")
	}
	b.Put(first)
	again := b.Get(800)
	if len(again) != 0 || &again[:1][0] != &first[0] {
		t.Error("memory that was put back was not used again")
	}
	b.Put(again)
	if larger := b.Get(2000); cap(larger) < 2000 {
		t.Errorf("got %d bytes of 2000", cap(larger))
	}
}

func TestBuffers_KeepLittle(t *testing.T) {
	t.Parallel()
	var b providers.Buffers
	var put [][]byte
	for range 3 {
		put = append(put, make([]byte, 0, 8<<20))
	}
	for _, page := range put {
		b.Put(page)
	}
	kept := 0
	for range put {
		got := b.Get(1)
		for _, page := range put {
			if &got[:1][0] == &page[:1][0] {
				kept++
			}
		}
	}
	if kept != 2 {
		t.Errorf("%d buffers of 8 MiB wait, want 2", kept)
	}
}

func TestBuffers_None(t *testing.T) {
	t.Parallel()
	if got := (*providers.Buffers)(nil).Get(10); cap(got) < 10 {
		t.Errorf("got %d bytes of 10", cap(got))
	}
}
