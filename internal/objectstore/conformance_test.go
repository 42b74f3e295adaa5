package objectstore_test

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/objectstoretest"
)

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	objectstoretest.Run(t, func(*testing.T) objectstore.Store { return new(objectstore.Memory) })
}

// What is large lies in a file that nobody can name, and is read as it was put.
func TestMemorySpools(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	m, bodies := &objectstore.Memory{Spool: true}, map[string]string{}
	for n, key := range []string{"a", "b", "c", "a"} {
		bodies[key] = strings.Repeat(key+strconv.Itoa(n), 50<<10)
		if _, err := m.Put(t.Context(), objectstore.Object{Key: key, Body: strings.NewReader(bodies[key]), Size: int64(len(bodies[key]))}); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range bodies {
		info, body, err := m.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if sum := md5.Sum(got); err != nil || string(got) != want || info.ETag != `"`+hex.EncodeToString(sum[:])+`"` {
			t.Errorf("%s: %d bytes, %s, %v", key, len(got), info.ETag, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files with a name: %v, %v", left, err)
	}
	if _, err := m.Put(t.Context(), objectstore.Object{Key: "short", Body: strings.NewReader(""), Size: 1 << 20}); err == nil {
		t.Error("a body shorter than declared was taken")
	}
}
