package export

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
)

// EachLine yields the lines of an object's body, with their newlines. The error
// of yield ends it.
func EachLine(body io.Reader, zipped bool, yield func([]byte) error) error {
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
