package export

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A spool holds one stored part until it is put: in memory up to a limit,
// beyond that in a temporary file. It is reused from part to part.
type spool struct {
	dir     string
	limit   int
	mem     []byte
	file    *os.File // kept from part to part: to write over it costs far less than a new one
	spilled bool     // the part lies in file
	size    int64
	crc     uint32
}

// castagnoli is CRC-32C, for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write adds to the part.
func (s *spool) Write(b []byte) (int, error) {
	s.size += int64(len(b))
	s.crc = crc32.Update(s.crc, castagnoli, b)
	if !s.spilled && len(s.mem)+len(b) <= s.limit {
		if s.mem == nil {
			s.mem = make([]byte, 0, s.limit) // pages that stay unused cost no memory
		}
		s.mem = append(s.mem, b...)
		return len(b), nil
	}
	if !s.spilled {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	n, err := s.file.Write(b)
	if err != nil {
		return n, fmt.Errorf("spooling a part: %w", err)
	}
	return n, nil
}

// spill moves what is in memory to the beginning of the file.
func (s *spool) spill() error {
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "hikyaku-part-*")
		if err != nil {
			return fmt.Errorf("opening a spool file: %w", err)
		}
		_ = os.Remove(file.Name()) // so that nothing remains, however the process ends
		s.file = file
	}
	_, err := s.file.Seek(0, io.SeekStart)
	if err == nil {
		_, err = s.file.Write(s.mem)
	}
	if err != nil {
		return fmt.Errorf("spooling a part: %w", err)
	}
	s.spilled = true
	return nil
}

// reader returns the whole part, from its beginning.
func (s *spool) reader() io.ReadSeeker {
	if !s.spilled {
		return bytes.NewReader(s.mem)
	}
	return io.NewSectionReader(s.file, 0, s.size)
}

// reset forgets the part.
func (s *spool) reset() { s.spilled, s.mem, s.size, s.crc = false, s.mem[:0], 0, 0 }

// close gives the file back.
func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}
