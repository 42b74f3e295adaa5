package objectstoretest

import (
	"maps"
	"strings"
	"testing"

	"hikyaku/internal/objectstore"
)

// tagged checks an object's tags; nil and empty are alike.
func (f *fixture) tagged(t *testing.T, name string, wanted map[string]string) {
	t.Helper()
	got, err := f.GetTags(t.Context(), f.prefix+name)
	want(t, "get tags of "+name, err, nil)
	if !maps.Equal(got, wanted) {
		t.Errorf("%s has the tags %v, want %v", name, got, wanted)
	}
}

func (f *fixture) tag(t *testing.T, name string, tags map[string]string) {
	t.Helper()
	want(t, "set tags of "+name, f.SetTags(t.Context(), f.prefix+name, tags), nil)
}

// tags are beside the object: nothing that Head or List shows changes.
func tags(t *testing.T, f *fixture) {
	name := "a b+c/ü=1.jsonl.gz"
	etag, err := f.Put(t.Context(), objectstore.Object{Key: f.prefix + name, Body: strings.NewReader("abc"), Size: 3, Metadata: map[string]string{"rows": "1"}})
	want(t, "put", err, nil)
	f.tagged(t, name, nil)
	before := f.holds(t, name, "abc", etag)
	set := map[string]string{"hikyaku": "doubt", "a:b/c+d=e@f_g-h.i": "飛脚 1", "empty": ""}
	f.tag(t, name, set)
	f.tagged(t, name, set)
	after := f.holds(t, name, "abc", etag)
	if !maps.Equal(before.Metadata, after.Metadata) || !before.Modified.Equal(after.Modified) {
		t.Errorf("tagging changed %+v to %+v", before, after)
	}
	if names := f.keys(t, "", ""); len(names) != 1 || names[0] != name {
		t.Errorf("list yields %q, want the object alone", names)
	}
}

func tagsOfMissing(t *testing.T, f *fixture) {
	for _, set := range []map[string]string{{"k": "v"}, {}, nil} {
		want(t, "set tags", f.SetTags(t.Context(), f.prefix+"none", set), objectstore.ErrNotFound)
	}
	_, err := f.GetTags(t.Context(), f.prefix+"none")
	want(t, "get tags", err, objectstore.ErrNotFound)
	_, err = f.Head(t.Context(), f.prefix+"none")
	want(t, "head", err, objectstore.ErrNotFound)
}

func tagsReplaced(t *testing.T, f *fixture) {
	f.written(t, "x", "abc")
	f.written(t, "y", "abc")
	f.tag(t, "x", map[string]string{"a": "1", "b": "2"})
	f.tag(t, "x", map[string]string{"b": "3", "c": "4"})
	f.tagged(t, "x", map[string]string{"b": "3", "c": "4"})
	f.tagged(t, "y", nil)
	f.tag(t, "x", nil)
	f.tagged(t, "x", nil)
	f.tag(t, "x", nil) // of an object that has none
	f.tagged(t, "x", nil)
}

// tagsAndWrites: a write drops them, one that was refused leaves them, a swap
// does not mind them.
func tagsAndWrites(t *testing.T, f *fixture) {
	set := map[string]string{"k": "v"}
	one := f.written(t, "x", "one")
	f.tag(t, "x", set)
	_, err := f.write(t, "x", "two", absent)
	want(t, "create", err, objectstore.ErrConflict)
	f.tagged(t, "x", set)
	f.written(t, "x", "one") // equal bytes, and yet another object
	f.tagged(t, "x", nil)
	f.tag(t, "x", set)
	two, err := f.write(t, "x", "two", matching(one))
	want(t, "swap", err, nil)
	f.tagged(t, "x", nil)
	f.holds(t, "x", "two", two)
	f.tag(t, "x", set)
	want(t, "delete", f.Delete(t.Context(), f.prefix+"x"), nil)
	f.written(t, "x", "two")
	f.tagged(t, "x", nil)
}
