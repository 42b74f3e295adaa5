package providers

import "sync"

// Buffers is a pool of buffers for the pages of a list. The caller puts a buffer
// back when it is done with the page. The zero value is ready for use; a nil *Buffers gives new memory each time. It is safe for
// concurrent use.
type Buffers struct {
	mu    sync.Mutex
	spare [][]byte
	bytes int // of spare
}

// mostSpare bounds the bytes that wait to be used again.
const mostSpare = 16 << 20

// Get returns an empty buffer for size bytes. One that was put back and is too
// small is forgotten: pages have grown.
func (b *Buffers) Get(size int) []byte {
	if b != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := len(b.spare); n > 0 {
			last := b.spare[n-1]
			b.spare[n-1] = nil
			b.spare, b.bytes = b.spare[:n-1], b.bytes-cap(last)
			if cap(last) >= size {
				return last
			}
		}
	}
	return make([]byte, 0, size)
}

// Put takes back the memory of a page that nobody will read again.
func (b *Buffers) Put(page []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if cap(page) > 0 && b.bytes+cap(page) <= mostSpare {
		b.spare = append(b.spare, page[:0])
		b.bytes += cap(page)
	}
}
