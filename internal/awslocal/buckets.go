package awslocal

import (
	"cmp"
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bucketCalls is what is called about buckets.
type bucketCalls struct{ *objects }

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (o bucketCalls) create(w http.ResponseWriter, r *http.Request, at place) error {
	if !bucketName.MatchString(at.bucket) {
		return refuse("InvalidBucketName", "The specified bucket is not valid.")
	}
	var asked struct{ LocationConstraint string }
	if err := document(r, "CreateBucket", &asked, "CreateBucketConfiguration", "LocationConstraint"); err != nil {
		return err
	}
	if region := asked.LocationConstraint; cmp.Or(region, Region) != Region {
		return refuse("IllegalLocationConstraintException", "The %s location constraint is incompatible for the region specific endpoint this request was sent to; the local AWS is in %s", region, Region)
	}
	if err := o.make(at.bucket); err != nil {
		return err
	}
	if err := o.settle(); err != nil {
		return err
	}
	w.Header().Set("Location", "/"+at.bucket)
	return nil
}

func (o bucketCalls) make(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buckets[name] != nil {
		return &refusal{Status: 409, Code: "BucketAlreadyOwnedByYou", Message: "Your previous request to create the named bucket succeeded and you already own it."}
	}
	b := newBucket(o.now())
	o.buckets[name] = b
	o.ledger.note(b.record(name))
	return nil
}

// delete takes away an empty bucket, and the uploads that were begun in it.
func (o bucketCalls) delete(w http.ResponseWriter, _ *http.Request, at place) error {
	uploads, err := o.drop(at.bucket)
	if err != nil {
		return err
	}
	for _, u := range uploads {
		u.discard()
	}
	if err := o.settle(); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (o bucketCalls) drop(name string) (uploads map[string]*upload, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.buckets[name]
	switch {
	case !ok:
		return nil, errNoSuchBucket
	case len(b.objects) > 0:
		return nil, &refusal{Status: 409, Code: "BucketNotEmpty", Message: "The bucket you tried to delete is not empty"}
	}
	delete(o.buckets, name)
	o.ledger.note(erasure(bucketSection, name))
	if o.dir != "" && !o.keeps() { // empty directories of deleted keys
		err = os.RemoveAll(o.path(name))
	}
	return b.uploads, err
}

func (o bucketCalls) head(w http.ResponseWriter, _ *http.Request, at place) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buckets[at.bucket] == nil {
		return errNoSuchBucket
	}
	w.Header().Set("X-Amz-Bucket-Region", Region)
	return nil
}

func (o bucketCalls) location(w http.ResponseWriter, r *http.Request, at place) error {
	if err := o.head(w, r, at); err != nil {
		return err
	}
	return writeXML(w, http.StatusOK, struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		Region  string   `xml:",chardata"`
	}{Region: Region})
}

type bucketEntry struct{ Name, CreationDate string }

type bucketList struct {
	XMLName           xml.Name `xml:"ListAllMyBucketsResult"`
	Namespace         string   `xml:"xmlns,attr"`
	Owner             owner
	Buckets           []bucketEntry `xml:"Buckets>Bucket"`
	ContinuationToken string        `xml:",omitempty"`
	Prefix            string        `xml:",omitempty"`
}

const maxBuckets = 10000

// all serves ListBuckets. A continuation token is the last name of the page before.
func (o bucketCalls) all(w http.ResponseWriter, r *http.Request, _ place) error {
	q := r.URL.Query()
	size, err := strconv.Atoi(cmp.Or(q.Get("max-buckets"), strconv.Itoa(maxBuckets)))
	if err != nil || size < 1 || size > maxBuckets {
		return refuse("InvalidArgument", "Argument max-buckets must be an integer between 1 and %d", maxBuckets)
	}
	after, err := base64.URLEncoding.DecodeString(q.Get("continuation-token"))
	if err != nil {
		return errToken
	}
	answer := bucketList{Namespace: s3Namespace, Owner: owner{ID: Account}, Prefix: q.Get("prefix")}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(o.buckets)) {
		if name <= string(after) || !strings.HasPrefix(name, answer.Prefix) {
			continue
		}
		if len(answer.Buckets) == size {
			answer.ContinuationToken = base64.URLEncoding.EncodeToString([]byte(answer.Buckets[size-1].Name))
			break
		}
		answer.Buckets = append(answer.Buckets, bucketEntry{name, o.buckets[name].created.UTC().Format(time.RFC3339)})
	}
	return writeXML(w, http.StatusOK, answer)
}
