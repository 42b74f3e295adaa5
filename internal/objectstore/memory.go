package objectstore

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag of a plain object
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

// Memory is a Store in memory that follows S3's rules for conditional writes.
// The zero Memory is ready for use.
type Memory struct {
	Now func() time.Time // nil: time.Now
	// Spool keeps what is large in a temporary file. The file has no name, so
	// that nothing remains of it however the process ends.
	Spool bool

	mu      sync.Mutex
	objects map[string]memoryObject
	file    *os.File // of Spool; nil until it is needed
	size    int64    // of file
}

// spooled is the size from which Spool takes an object.
const spooled = 64 << 10

type memoryObject struct {
	info Info
	body io.ReaderAt
	tags map[string]string
}

var _ Store = (*Memory)(nil)

// Get opens an object.
func (m *Memory) Get(ctx context.Context, key string) (Info, io.ReadCloser, error) {
	o, err := m.find(ctx, key)
	if err != nil {
		return Info{}, nil, err
	}
	return o.info, io.NopCloser(io.NewSectionReader(o.body, 0, o.info.Size)), nil
}

// Head describes an object.
func (m *Memory) Head(ctx context.Context, key string) (Info, error) {
	o, err := m.find(ctx, key)
	return o.info, err
}

func (m *Memory) find(ctx context.Context, key string) (memoryObject, error) {
	if err := ctx.Err(); err != nil {
		return memoryObject{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return memoryObject{}, fmt.Errorf("%s: %w", key, ErrNotFound)
	}
	o.info.Metadata = maps.Clone(o.info.Metadata)
	return o, nil
}

// Put writes an object if its condition holds.
func (m *Memory) Put(ctx context.Context, o Object) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	sum := md5.New() //nolint:gosec // as above
	body, n, err := m.keep(io.TeeReader(o.Body, sum), o.Size)
	if err != nil {
		return "", err
	}
	if n != o.Size {
		return "", fmt.Errorf("%s: body has %d bytes where %d were declared", o.Key, n, o.Size)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, exists := m.objects[o.Key]
	if o.Condition.Absent && exists || o.Condition.ETag != "" && old.info.ETag != o.Condition.ETag {
		return "", fmt.Errorf("%s: %w", o.Key, ErrConflict)
	}
	if m.objects == nil {
		m.objects = map[string]memoryObject{}
	}
	info := Info{Key: o.Key, ETag: `"` + hex.EncodeToString(sum.Sum(nil)) + `"`, Size: o.Size, Modified: m.now(), Metadata: maps.Clone(o.Metadata)}
	m.objects[o.Key] = memoryObject{info: info, body: body}
	return info.ETag, nil
}

// keep takes in a body of a declared size.
func (m *Memory) keep(body io.Reader, size int64) (io.ReaderAt, int64, error) {
	if !m.Spool || size < spooled {
		raw, err := io.ReadAll(body)
		return bytes.NewReader(raw), int64(len(raw)), err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil {
		file, err := os.CreateTemp("", "hikyaku-objects-*")
		if err != nil {
			return nil, 0, err
		}
		_ = os.Remove(file.Name()) // where a file may go while it is open
		m.file = file
	}
	begin := m.size
	n, err := io.Copy(io.NewOffsetWriter(m.file, begin), body)
	m.size += n
	return io.NewSectionReader(m.file, begin, n), n, err
}

// SetTags replaces an object's tags.
func (m *Memory) SetTags(ctx context.Context, key string, tags map[string]string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return fmt.Errorf("%s: %w", key, ErrNotFound)
	}
	o.tags = maps.Clone(tags)
	m.objects[key] = o
	return nil
}

// GetTags reads an object's tags.
func (m *Memory) GetTags(ctx context.Context, key string) (map[string]string, error) {
	o, err := m.find(ctx, key)
	return maps.Clone(o.tags), err
}

// Delete removes an object.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

// List yields the objects as they were when it began.
func (m *Memory) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(Info{}, err)
			return
		}
		for _, info := range m.listing(prefix, after) {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (m *Memory) listing(prefix, after string) []Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Info
	for key, o := range m.objects {
		if strings.HasPrefix(key, prefix) && key > after {
			info := o.info
			info.Metadata = nil
			list = append(list, info)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Key < list[j].Key })
	return list
}

func (m *Memory) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}
