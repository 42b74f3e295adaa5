package call

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// Stream sends the request that build makes and reads the whole list in its
// answer, which may be too long for memory: it goes through a temporary file.
// Like a page, it is validated inside the retries.
func (c *Client) Stream(ctx context.Context, op string, build func(providers.Token) (ListRequest, error)) (*jsonscan.Stream, error) {
	var stream *jsonscan.Stream
	_, err := c.Do(ctx, op, func(t providers.Token) (Request, error) {
		r, err := build(t)
		r.readFile = func(f *os.File) error {
			var err error
			stream, err = jsonscan.NewStream(temporary{f}, jsonscan.Limits{Record: c.recordSize()}, r.Shapes[0])
			return err
		}
		return r.Request, err
	})
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// recordSize is the most bytes of a record, which is never more than a page.
func (c *Client) recordSize() int {
	if c.options.MaxRecord > 0 {
		return min(c.options.MaxRecord, int(c.options.MaxBody))
	}
	return int(c.options.MaxBody)
}

// A temporary file is gone once it is closed.
type temporary struct{ *os.File }

func (t temporary) Close() error {
	err := t.File.Close()
	if removed := os.Remove(t.Name()); !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}

// beginning is how much of a spooled answer Inspect sees.
const beginning = 64 << 10

// spool writes an answer to a temporary file.
func (c *Client) spool(request *http.Request) (Response, error) {
	answer, err := exchange(c.http, request)
	if err != nil {
		return Response{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode/100 != 2 {
		return whole(request.Context(), answer, ObjectSize, false, 0, nil)
	}
	response := Response{Status: answer.StatusCode, Header: answer.Header}
	large := fmt.Errorf("%w of %d bytes", providers.ErrTooLarge, c.options.MaxSpool)
	if answer.ContentLength > c.options.MaxSpool {
		return response, large
	}
	f, err := os.CreateTemp(c.options.SpoolDir, "hikyaku-list-*")
	if err != nil {
		return response, spoolFault(err)
	}
	_ = os.Remove(f.Name()) // where a file may go while it is open, it goes even if the process is killed
	raw := &source{r: answer.Body, left: c.options.MaxSpool}
	size, err := unpackTo(f, raw, c.options.MaxSpool)
	switch {
	case err == nil:
		response.file = f
		response.Body = make([]byte, min(size, beginning))
		if _, err = f.ReadAt(response.Body, 0); err == nil {
			return response, nil
		}
		err = spoolFault(err)
	case raw.err != nil:
		err = unknownOutcome(request.Context())
	case errors.Is(err, jsonscan.ErrTooLarge):
		err = large
	case errors.As(err, new(*fs.PathError)):
		err = spoolFault(err)
	default:
		response.fault = &jsonscan.NotAListError{Found: "broken gzip"}
		err = nil
	}
	_ = temporary{f}.Close()
	response.file = nil
	return response, err
}

// spoolFault is a failure of this machine's, without the file's name.
func spoolFault(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("keeping the list in a temporary file: %w", err)
}

// unpackTo copies an answer without the one layer of gzip that it may have.
// More than most bytes, as they come or unpacked, are a jsonscan.ErrTooLarge.
func unpackTo(w io.Writer, raw io.Reader, most int64) (int64, error) {
	r := bufio.NewReaderSize(raw, 64<<10)
	var plain io.Reader = r
	if first, _ := r.Peek(3); jsonscan.Packed(first) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return 0, err
		}
		plain = z
	}
	n, err := io.Copy(w, io.LimitReader(plain, most+1))
	if err == nil && n > most {
		err = jsonscan.ErrTooLarge
	}
	return n, err
}

// A source is a body that ends with jsonscan.ErrTooLarge after so many bytes,
// and keeps the error of its connection.
type source struct {
	r    io.Reader
	left int64
	err  error
}

// Read reads on.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if s.left -= int64(n); s.left < 0 {
		return n, jsonscan.ErrTooLarge
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
