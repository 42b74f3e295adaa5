package awslocal

import (
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	taggingHeader = "X-Amz-Tagging"
	maxTags       = 10
	maxTagName    = 128 // characters
	maxTagValue   = 256
	tagMarks      = " +-=._:/@"
)

type tag struct{ Key, Value string }

// tagging is the document of an object's tags.
type tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	XMLNS   string   `xml:"xmlns,attr"`
	TagSet  struct{ Tag []tag }
}

// tagsOf checks tags by S3's documented limits.
func tagsOf(set []tag) (map[string]string, error) {
	tags := map[string]string{}
	for _, t := range set {
		if _, twice := tags[t.Key]; twice {
			return nil, refuse("InvalidTag", "Cannot provide multiple Tags with the same key")
		}
		if t.Key == "" || utf8.RuneCountInString(t.Key) > maxTagName || strings.HasPrefix(t.Key, "aws:") || !tagText(t.Key) {
			return nil, refuse("InvalidTag", "The TagKey you have provided is invalid")
		}
		if utf8.RuneCountInString(t.Value) > maxTagValue || !tagText(t.Value) {
			return nil, refuse("InvalidTag", "The TagValue you have provided is invalid")
		}
		tags[t.Key] = t.Value
	}
	if len(tags) > maxTags {
		return nil, refuse("BadRequest", "Object tags cannot be greater than %d", maxTags)
	}
	return tags, nil
}

func tagText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsSpace(r) && !strings.ContainsRune(tagMarks, r)
	})
}

// headerTags are those that a PutObject brings.
func headerTags(h http.Header) (map[string]string, error) {
	values, err := url.ParseQuery(h.Get(taggingHeader))
	set := make([]tag, 0, len(values))
	for name, all := range values {
		if len(all) > 1 {
			err = strconv.ErrSyntax
		}
		set = append(set, tag{name, all[0]})
	}
	if err != nil {
		return nil, refuse("InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	}
	return tagsOf(set)
}

// putTagging replaces an object's tags.
func (o objectCalls) putTagging(w http.ResponseWriter, r *http.Request, at place) error {
	var document tagging
	if err := checkedDocument(r, "PutObjectTagging", &document, "Tagging", "TagSet", "Tag", "Key", "Value"); err != nil {
		return err
	}
	tags, err := tagsOf(document.TagSet.Tag)
	if err != nil {
		return err
	}
	if err := errors.Join(o.tag(at, tags), o.settle()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (o objectCalls) deleteTagging(w http.ResponseWriter, _ *http.Request, at place) error {
	if err := errors.Join(o.tag(at, nil), o.settle()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (o objectCalls) getTagging(w http.ResponseWriter, _ *http.Request, at place) error {
	found, body, err := o.find(at)
	if err != nil {
		return err
	}
	_ = body.Close()
	document := tagging{XMLNS: s3Namespace}
	for _, name := range slices.Sorted(maps.Keys(found.tags)) {
		document.TagSet.Tag = append(document.TagSet.Tag, tag{name, found.tags[name]})
	}
	return writeXML(w, http.StatusOK, document)
}

// tag gives an object other tags. Its time, its ETag and its bytes stay.
func (o *objects) tag(at place, tags map[string]string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.buckets[at.bucket]
	if !ok {
		return errNoSuchBucket
	}
	old, ok := b.objects[at.key]
	if !ok {
		return errNoSuchKey
	}
	tagged := *old
	tagged.tags = tags
	b.objects[at.key] = &tagged
	o.ledger.note(tagged.record(at))
	return nil
}
