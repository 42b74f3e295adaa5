package export

import (
	"context"
	"testing"
)

// held answers when it is told to.
type held chan []byte

func (h held) Page(ctx context.Context, _ Query) ([]byte, error) {
	select {
	case body := <-h:
		return body, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestReadahead_IsBounded: by the requests on their way, by the pages that wait
// behind a late one, and by their bytes; one page is always allowed.
func TestReadahead_IsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                    string
		flight, budget, largest int
		landed                  bool // pages have come, and wait
		want                    int
	}{
		{"on their way", 3, 1 << 20, 0, false, 3},
		{"waiting", 3, 1 << 20, 0, true, 6},
		{"bytes", 9, 400, 100, false, 4},
		{"bytes, nearly one more", 9, 499, 100, false, 4},
		{"one is always allowed", 3, 10, 100, false, 1},
	} {
		source := make(held, 100)
		r := newReadahead(source, func() *splitter { return &splitter{shape: Shape{ID: []string{"id"}}, maxRecord: 1, maxBody: 1} }, c.flight, c.budget)
		r.largest = c.largest
		if c.landed {
			for range cap(source) {
				source <- []byte("[]")
			}
		}
		n := 0
		for ; !r.full() && n < 50; n++ {
			r.push(t.Context(), Query{})
			if c.landed {
				<-r.queue[n].done
			}
		}
		if r.drop(); n != c.want {
			t.Errorf("%s: %d pages, want %d", c.name, n, c.want)
		}
	}
}
