package export

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// A spool holds one stored part until it is put: in memory up to a limit,
// beyond that in a temporary file. It is reused from part to part.
type spool struct {
	dir   string
	limit int
	mem   []byte
	file  *os.File
	size  int64
}

// Write adds to the part.
func (s *spool) Write(b []byte) (int, error) {
	s.size += int64(len(b))
	if s.file == nil && len(s.mem)+len(b) <= s.limit {
		if s.mem == nil {
			s.mem = make([]byte, 0, s.limit) // pages that stay unused cost no memory
		}
		s.mem = append(s.mem, b...)
		return len(b), nil
	}
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "hikyaku-part-*")
		if err != nil {
			return 0, fmt.Errorf("opening a spool file: %w", err)
		}
		_ = os.Remove(file.Name()) // nothing is left behind, whatever happens
		s.file = file
		if _, err := file.Write(s.mem); err != nil {
			return 0, fmt.Errorf("spooling a part: %w", err)
		}
	}
	n, err := s.file.Write(b)
	if err != nil {
		return n, fmt.Errorf("spooling a part: %w", err)
	}
	return n, nil
}

// reader returns the whole part, from its beginning.
func (s *spool) reader() (io.ReadSeeker, error) {
	if s.file == nil {
		return bytes.NewReader(s.mem), nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading a spool file: %w", err)
	}
	return io.NewSectionReader(s.file, 0, s.size), nil
}

// reset forgets the part.
func (s *spool) reset() {
	if s.file != nil {
		_ = s.file.Close()
	}
	s.file, s.mem, s.size = nil, s.mem[:0], 0
}
