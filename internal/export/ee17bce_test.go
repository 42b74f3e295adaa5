package export_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
)

// An oldRun is a store as the code of commit ee17bce left it: see
// testdata/ee17bce.
type oldRun struct {
	Dataset   string    `json:"dataset"`
	Scheduled time.Time `json:"scheduled"`
	State     string    `json:"state"`
	PartBytes int64     `json:"part_bytes"`
	PageSize  int       `json:"page_size"`
	Objects   []struct {
		Key             string            `json:"key"`
		ContentType     string            `json:"content_type"`
		ContentEncoding string            `json:"content_encoding"`
		Metadata        map[string]string `json:"metadata"`
		Text            string            `json:"text"`
		Base64          []byte            `json:"base64"`
	} `json:"objects"`

	source []string // the rows of the provider
}

// readOldRun reads a fixture by its name, such as "yappli-users-stopped", and
// puts its objects into a store.
func readOldRun(t testing.TB, name string) (oldRun, *objectstore.Memory) {
	t.Helper()
	folder := filepath.Join("testdata", "ee17bce")
	raw, err := os.ReadFile(filepath.Join(folder, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var r oldRun
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile(filepath.Join(folder, strings.ReplaceAll(r.Dataset, "/", "-")+".source.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	r.source = strings.Split(strings.TrimSuffix(string(rows), "\n"), "\n")
	store := new(objectstore.Memory)
	for _, o := range r.Objects {
		body := slices.Concat(o.Base64, []byte(o.Text))
		_, err := store.Put(t.Context(), objectstore.Object{
			Key: o.Key, Body: bytes.NewReader(body), Size: int64(len(body)),
			ContentType: o.ContentType, ContentEncoding: o.ContentEncoding, Metadata: o.Metadata,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return r, store
}

// What ee17bce published is still proved.
func TestVerify_OfManifestsOfBefore(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "ee17bce", "*done.json"))
	if err != nil || len(files) < len(export.Datasets()) {
		t.Fatalf("%d published fixtures, %v", len(files), err)
	}
	for _, file := range files {
		r, store := readOldRun(t, strings.TrimSuffix(filepath.Base(file), ".json"))
		manifests, rows := 0, 0
		for info, err := range store.List(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(info.Key, "_manifest.json") {
				continue
			}
			v, err := export.Verify(t.Context(), store, info.Key)
			if err != nil || len(v.Faults) > 0 {
				t.Errorf("%s: %v, %v", file, err, v.Faults)
			}
			manifests++
			rows = max(rows, v.Manifest.Rows)
		}
		if manifests == 0 || rows != len(r.source) {
			t.Errorf("%s: %d manifests, at most %d rows of %d", file, manifests, rows, len(r.source))
		}
	}
}
