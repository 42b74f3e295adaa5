package awslocal

import (
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Namespace             string   `xml:"xmlns,attr"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	MaxKeys               int
	KeyCount              int
	IsTruncated           bool
	Contents              []listed
	CommonPrefixes        []commonPrefix
}

type listed struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
	StorageClass string
	Owner        *owner `xml:",omitempty"`
}

type commonPrefix struct{ Prefix string }

type owner struct{ ID string }

// list serves ListObjectsV2. A continuation token is the last key or common
// prefix of the page before.
func (o *objects) list(w http.ResponseWriter, r *http.Request, at place) error {
	q := r.URL.Query()
	page := listing{
		Namespace: s3Namespace, Name: at.bucket, Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), EncodingType: q.Get("encoding-type"),
		StartAfter: q.Get("start-after"), ContinuationToken: q.Get("continuation-token"), MaxKeys: 1000,
	}
	after := page.StartAfter
	if token := page.ContinuationToken; token != "" {
		raw, err := base64.URLEncoding.DecodeString(token)
		if err != nil {
			return refuse("InvalidArgument", "The continuation token provided is incorrect")
		}
		after = string(raw)
	}
	if asked := q.Get("max-keys"); asked != "" {
		n, err := strconv.Atoi(asked)
		if err != nil || n < 0 {
			return refuse("InvalidArgument", "Argument max-keys must be an integer between 0 and 2147483647")
		}
		page.MaxKeys = min(n, page.MaxKeys)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.buckets[at.bucket]
	if !ok {
		return errNoSuchBucket
	}
	b.fill(&page, after, q.Get("fetch-owner") == "true")
	if page.EncodingType == "url" {
		page.escape()
	}
	return writeXML(w, http.StatusOK, page)
}

// fill lists what comes after a key or common prefix.
func (b *bucket) fill(page *listing, after string, withOwner bool) {
	b.sort()
	start, exact := slices.BinarySearch(b.sorted, max(after, page.Prefix))
	if exact && b.sorted[start] == after {
		start++
	}
	last := after
	for _, key := range b.sorted[start:] {
		rest, ok := strings.CutPrefix(key, page.Prefix)
		if !ok {
			break
		}
		entry := key
		if head, _, cut := strings.Cut(rest, page.Delimiter); page.Delimiter != "" && cut {
			entry = page.Prefix + head + page.Delimiter
			if entry == last { // listed already, on this page or the one before
				continue
			}
		}
		if page.KeyCount == page.MaxKeys {
			page.IsTruncated = page.MaxKeys > 0
			break
		}
		page.KeyCount++
		last = entry
		if entry != key {
			page.CommonPrefixes = append(page.CommonPrefixes, commonPrefix{entry})
			continue
		}
		page.Contents = append(page.Contents, b.objects[key].listed(key, withOwner))
	}
	if page.IsTruncated {
		page.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(last))
	}
}

func (o *object) listed(key string, withOwner bool) listed {
	l := listed{Key: key, LastModified: o.modified.UTC().Format(s3Time), ETag: o.etag, Size: o.size, StorageClass: "STANDARD"}
	if withOwner {
		l.Owner = &owner{ID: Account}
	}
	return l
}

const s3Time = "2006-01-02T15:04:05.000Z"

// escape writes keys URL-encoded, since XML cannot hold every character.
func (l *listing) escape() {
	encode := func(s *string) { *s = strings.ReplaceAll(url.QueryEscape(*s), "%2F", "/") }
	encode(&l.Prefix)
	encode(&l.Delimiter)
	encode(&l.StartAfter)
	for i := range l.Contents {
		encode(&l.Contents[i].Key)
	}
	for i := range l.CommonPrefixes {
		encode(&l.CommonPrefixes[i].Prefix)
	}
}

func (o *objects) listBuckets(w http.ResponseWriter, _ *http.Request, _ place) error {
	type entry struct{ Name, CreationDate string }
	answer := struct {
		XMLName   xml.Name `xml:"ListAllMyBucketsResult"`
		Namespace string   `xml:"xmlns,attr"`
		Owner     owner
		Buckets   []entry `xml:"Buckets>Bucket"`
	}{Namespace: s3Namespace, Owner: owner{ID: Account}}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(o.buckets)) {
		answer.Buckets = append(answer.Buckets, entry{name, o.buckets[name].created.UTC().Format(time.RFC3339)})
	}
	return writeXML(w, http.StatusOK, answer)
}
