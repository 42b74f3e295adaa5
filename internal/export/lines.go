package export

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
)

// eachLine yields the lines of a stored object, with their newlines.
func (j *job) eachLine(ctx context.Context, key string, zipped bool, yield func([]byte) error) error {
	_, body, err := j.seams.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	return eachLine(body, zipped, yield)
}

func eachLine(body io.Reader, zipped bool, yield func([]byte) error) error {
	if zipped {
		z, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = z
	}
	lines := bufio.NewReaderSize(body, 1<<16)
	var long []byte
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			continue
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		if len(line) > 0 {
			if yieldErr := yield(line); yieldErr != nil {
				return yieldErr
			}
		}
		long = long[:0]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
