package jsonscan

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// byteOrderMark may precede an answer in UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// Plain undoes what may stand around an answer's JSON: one layer of gzip that
// no header announced, and a byte order mark. What it unpacks is counted while
// it comes: more than limit bytes are ErrTooLarge; 0 is no bound.
func Plain(body []byte, limit int) ([]byte, error) {
	if Packed(body) {
		var err error
		if body, err = unpack(body, limit); err != nil {
			return nil, err
		}
		if Packed(body) {
			return nil, found(packedTwice)
		}
	}
	if limit > 0 && len(body) > limit {
		return nil, tooLarge(fmt.Sprintf("more than %d bytes", limit))
	}
	if name := foreign(body); name != "" {
		return nil, found(name)
	}
	return TrimMark(body), nil
}

// TrimMark takes a byte order mark off a text in UTF-8.
func TrimMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte(byteOrderMark)) }

// Packed reports whether an answer that begins so is compressed by gzip.
func Packed(body []byte) bool { return len(body) > 2 && body[0] == 0x1f && body[1] == 0x8b }

func unpack(body []byte, limit int) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, found("broken gzip")
	}
	size := int(binary.LittleEndian.Uint32(body[len(body)-4:])) // what the answer says of itself, modulo 4 GiB
	out, err := ReadAll(z, min(size, 64*len(body)), limit)
	switch {
	case err == nil || errors.Is(err, ErrTooLarge):
		return out, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, found(fmt.Sprintf("gzip cut short after byte %d", len(body)))
	}
	return nil, found("broken gzip")
}

// ReadAll reads to the end of r, of which size bytes are expected. Its memory
// grows by doubling, and never beyond limit: more bytes are ErrTooLarge; 0 is
// no bound.
func ReadAll(r io.Reader, size, limit int) ([]byte, error) {
	if limit > 0 {
		size = min(size, limit)
	}
	return ReadInto(make([]byte, 0, size+1), r, limit) // one more shows the end without growing
}

// ReadInto is ReadAll into memory that is there, as far as it goes.
func ReadInto(out []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(out) == cap(out) {
			size := max(512, 2*len(out))
			if limit > 0 && size >= limit {
				size = limit + 1
			}
			out = append(make([]byte, 0, size), out...)
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case limit > 0 && len(out) > limit:
			return nil, tooLarge(fmt.Sprintf("more than %d bytes", limit))
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return out, err
		}
	}
}

// foreign names what an answer is by its first bytes, if that cannot be JSON
// in UTF-8.
func foreign(body []byte) string {
	for _, s := range []struct{ first, name string }{
		{"\xff\xfe\x00\x00", "another character set (UTF-32)"}, {"\x00\x00\xfe\xff", "another character set (UTF-32)"},
		{"\xff\xfe", "another character set (UTF-16)"}, {"\xfe\xff", "another character set (UTF-16)"},
		{"+/v", "another character set (UTF-7)"},
		{"\x28\xb5\x2f\xfd", "an answer compressed by zstd"}, {"PK\x03\x04", "a zip file"}, {"BZh", "an answer compressed by bzip2"},
		{"\x78\x01", "an answer compressed by zlib"}, {"\x78\x5e", "an answer compressed by zlib"},
		{"\x78\x9c", "an answer compressed by zlib"}, {"\x78\xda", "an answer compressed by zlib"},
		{"%PDF-", "a PDF file"},
	} {
		if bytes.HasPrefix(body, []byte(s.first)) {
			return s.name
		}
	}
	switch {
	case len(body) >= 4 && body[0] == 0 && body[1] == 0 && body[2] == 0 && body[3] != 0,
		len(body) >= 4 && body[0] != 0 && body[1] == 0 && body[2] == 0 && body[3] == 0:
		return "another character set (UTF-32)"
	case len(body) >= 4 && (body[0] == 0 && body[1] != 0 && body[2] == 0 || body[0] != 0 && body[1] == 0 && body[3] == 0):
		return "another character set (UTF-16)"
	}
	return ""
}

func found(what string) error { return &NotAListError{Found: what} }

func tooLarge(what string) error { return &NotAListError{Found: what, large: true} }
