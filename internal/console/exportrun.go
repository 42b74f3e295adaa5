package console

import (
	"cmp"
	"context"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"hikyaku/internal/export"
)

// runPage shows one run: its parts, how it was read, its doubts, and its records.
func (e exporting) runPage() page {
	return page{Name: "run", Path: "/exports/{provider}/{dataset}/{run}", Under: "exports", load: e.loadRun}
}

// A wholeRun is what 'hikyaku runs --run' prints.
type wholeRun struct {
	run

	Place string           `json:"place"`
	Whole *export.Manifest `json:"described"`
}

// A runData is what the page of a run shows.
type runData struct {
	wholeRun

	Hits *hits // its first records; nil: they cannot be read
}

// InDoubt reports whether a person may accept it.
func (r wholeRun) InDoubt() bool { return r.State == string(export.InDoubt) }

// Rate is how many megabytes were read in a second.
func (r wholeRun) Rate() float64 {
	if r.Whole == nil || r.Whole.Observed.Seconds == 0 {
		return 0
	}
	return float64(r.Whole.Bytes) / 1e6 / r.Whole.Observed.Seconds
}

// PerSecond is how many requests were made in a second.
func (r wholeRun) PerSecond() float64 {
	if r.Whole == nil || r.Whole.Observed.Seconds == 0 {
		return 0
	}
	return float64(r.Whole.Observed.Requests) / r.Whole.Observed.Seconds
}

// Took is how long the run was at work.
func (r wholeRun) Took() time.Duration {
	if r.Whole == nil {
		return 0
	}
	return time.Duration(r.Whole.Observed.Seconds * float64(time.Second))
}

// mostParts is how many parts the page lists.
const mostParts = 200

// Files are the parts and the rejects that can be downloaded.
func (r wholeRun) Files() []file {
	if r.Whole == nil {
		return nil
	}
	var files []file
	for _, p := range r.Whole.Parts[:min(mostParts, len(r.Whole.Parts))] {
		f := file{Name: path.Base(p.Key), Path: r.download(p.Key, ""), Rows: p.Rows, Bytes: p.Bytes, Stored: p.StoredBytes, Rejects: p.Rejects}
		if p.RejectsKey != "" {
			f.RejectsPath = r.download(p.RejectsKey, "rejects/")
		}
		files = append(files, f)
	}
	return files
}

// Unlisted is how many parts there are beyond those.
func (r wholeRun) Unlisted() int {
	if r.Whole == nil {
		return 0
	}
	return max(0, len(r.Whole.Parts)-mostParts)
}

func (r wholeRun) download(key, kind string) string {
	return downloads + strings.TrimPrefix(r.Path(), "/exports/") + "/" + kind + path.Base(key)
}

// A file is one of a run's that can be downloaded.
type file struct {
	Name, Path  string
	Rows        int
	Bytes       int64
	Stored      int64
	Rejects     int
	RejectsPath string // empty: there are none
}

// A verdict is what 'hikyaku verify' prints.
type verdict struct {
	State  string
	Parts  int
	Rows   int
	Bytes  int64
	Faults []string
}

func (e exporting) loadRun(ctx context.Context, r *http.Request) (any, error) {
	told, err := e.wholeRun(ctx, r.PathValue("provider")+"/"+r.PathValue("dataset"), r.PathValue("run"))
	if err != nil {
		return nil, err
	}
	d := runData{wholeRun: told}
	if told.Whole != nil {
		d.Hits = e.firstRecords(ctx, told)
	}
	return d, nil
}

// wholeRun reads all that is known of a run.
func (e exporting) wholeRun(ctx context.Context, dataset, id string) (wholeRun, error) {
	var told wholeRun
	if _, err := export.FindDataset(dataset); err != nil {
		return told, saying("fault.no-dataset")
	}
	if !runName.MatchString(id) {
		return told, saying("fault.no-run")
	}
	err := e.reader.readWithin(ctx, e.runsFresh(), &told, "runs", dataset, "--run", id)
	return told, err
}

// downloads begins the addresses of files.
const downloads = "/download/"

// serveFile sends a file of a run to the person's disk, as it comes from the bucket.
func (e exporting) serveFile(w http.ResponseWriter, r *http.Request) {
	told, err := e.wholeRun(r.Context(), r.PathValue("provider")+"/"+r.PathValue("dataset"), r.PathValue("run"))
	key := fileKey(told, r.PathValue("file"), strings.Contains(r.Pattern, "/rejects/"))
	if err != nil || key == "" || e.options.Objects == nil {
		http.NotFound(w, r)
		return
	}
	objects, _ := e.options.Objects()
	info, body, err := objects.Get(r.Context(), key)
	if err != nil {
		http.Error(w, "The file cannot be read: "+err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = body.Close() }()
	kind := "application/x-ndjson"
	if strings.HasSuffix(key, ".gz") {
		kind = "application/gzip"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size, 10))
	name := strings.ReplaceAll(told.Dataset, "/", "-") + "-" + told.ID + "-" + path.Base(key)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	_, _ = io.Copy(w, body)
}

// fileKey is the key of a part, or of a part's rejects, by its name; empty: the run has none
// of it. Nothing else in the bucket can be asked for, also where a description names it: parts
// lie beside the description, rejects among rejects.
func fileKey(r wholeRun, name string, rejects bool) string {
	if r.Whole == nil {
		return ""
	}
	for _, p := range r.Whole.Parts {
		key, own := p.Key, path.Dir(p.Key) == path.Dir(cmp.Or(r.Manifest, r.Doubt))
		if rejects {
			key, own = p.RejectsKey, strings.Contains(p.RejectsKey, "/rejects/")
		}
		if own && key == path.Clean(key) && path.Base(key) == name {
			return key
		}
	}
	return ""
}
