package awslocal

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// A listing is a page of a bucket's keys, in the form of ListObjects or of
// ListObjectsV2.
type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Namespace             string   `xml:"xmlns,attr"`
	Name                  string
	Prefix                string
	Delimiter             string  `xml:",omitempty"`
	EncodingType          string  `xml:",omitempty"`
	Marker                *string // of ListObjects, as the next
	NextMarker            string  `xml:",omitempty"`
	StartAfter            string  `xml:",omitempty"`
	ContinuationToken     string  `xml:",omitempty"`
	NextContinuationToken string  `xml:",omitempty"`
	MaxKeys               int
	KeyCount              *int // of ListObjectsV2
	IsTruncated           bool
	Contents              []listed
	CommonPrefixes        []commonPrefix

	withOwner bool
}

var errToken = refuse("InvalidArgument", "The continuation token provided is incorrect")

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

// newListing reads what both forms have.
func newListing(r *http.Request, at place) (listing, error) {
	q := r.URL.Query()
	page := listing{
		Namespace: s3Namespace, Name: at.bucket, Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), EncodingType: q.Get("encoding-type"),
	}
	if page.EncodingType != "" && page.EncodingType != "url" {
		return listing{}, refuse("InvalidArgument", "Invalid Encoding Method specified in Request")
	}
	var err error
	page.MaxKeys, err = number(r, "max-keys", maxKeys, maxKeys)
	return page, err
}

const maxKeys = 1000 // of one page, and how many come unless fewer are asked for

// list serves ListObjects, whose page ends with a marker only if there is a
// delimiter: without one the next page begins after the last key.
func (o bucketCalls) list(w http.ResponseWriter, r *http.Request, at place) error {
	page, err := newListing(r, at)
	if err != nil {
		return err
	}
	marker := r.URL.Query().Get("marker")
	page.Marker, page.withOwner = &marker, true
	last, err := o.fill(&page, marker)
	if err != nil {
		return err
	}
	if page.IsTruncated && page.Delimiter != "" {
		page.NextMarker = last
	}
	return page.write(w)
}

// listV2 serves ListObjectsV2. A continuation token is the last key or common
// prefix of the page before.
func (o bucketCalls) listV2(w http.ResponseWriter, r *http.Request, at place) error {
	page, err := newListing(r, at)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	page.StartAfter, page.ContinuationToken, page.withOwner = q.Get("start-after"), q.Get("continuation-token"), q.Get("fetch-owner") == "true"
	after := page.StartAfter
	if page.ContinuationToken != "" {
		raw, err := base64.URLEncoding.DecodeString(page.ContinuationToken)
		if err != nil {
			return errToken
		}
		after = string(raw)
	}
	last, err := o.fill(&page, after)
	if err != nil {
		return err
	}
	if page.IsTruncated {
		page.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(last))
	}
	count := len(page.Contents) + len(page.CommonPrefixes)
	page.KeyCount = &count
	return page.write(w)
}

func (l *listing) write(w http.ResponseWriter) error {
	if l.EncodingType == "url" {
		l.escape()
	}
	return writeXML(w, http.StatusOK, l)
}

func (o bucketCalls) fill(page *listing, after string) (last string, err error) {
	return settled(o.ledger, func() (string, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		b, ok := o.buckets[page.Name]
		if !ok {
			return "", errNoSuchBucket
		}
		return b.fill(page, after), nil
	})
}

// fill lists what comes after a key or common prefix, and returns the last one
// that it listed.
func (b *bucket) fill(page *listing, after string) (last string) {
	b.sort()
	start, exact := slices.BinarySearch(b.sorted, max(after, page.Prefix))
	if exact && b.sorted[start] == after {
		start++
	}
	last = after
	count := 0
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
		if count == page.MaxKeys {
			page.IsTruncated = page.MaxKeys > 0
			break
		}
		count++
		last = entry
		if entry != key {
			page.CommonPrefixes = append(page.CommonPrefixes, commonPrefix{entry})
			continue
		}
		page.Contents = append(page.Contents, b.objects[key].listed(key, page.withOwner))
	}
	return last
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
	encode := func(s *string) { *s = escaped(*s) }
	encode(&l.Prefix)
	encode(&l.Delimiter)
	encode(&l.StartAfter)
	encode(&l.NextMarker)
	if l.Marker != nil {
		encode(l.Marker)
	}
	for i := range l.Contents {
		encode(&l.Contents[i].Key)
	}
	for i := range l.CommonPrefixes {
		encode(&l.CommonPrefixes[i].Prefix)
	}
}

func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }
