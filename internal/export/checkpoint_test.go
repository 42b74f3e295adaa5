package export_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"hikyaku/internal/pagination"
)

// TestCheckpoint_FitsWhateverTheIDs: S3 allows 2 KB of metadata, in characters
// that a header can carry.
func TestCheckpoint_FitsWhateverTheIDs(t *testing.T) {
	t.Parallel()
	widest := 0
	for _, one := range []string{"\x01", "\n", "\x7f", "<", "&", `"`, `\`, "山", "😀", "\u2028", "x"} {
		for _, length := range []int{4, 8, 10, 18, 19, 20, 60, 118, 120, 125, 500} {
			b := newBench(t, newList(pagination.ByCursor, 0))
			b.set.Prefix, b.set.PartBytes = strings.Repeat("p", 31), 5000 // the longest that the template takes
			records := []string{"7"}
			for n := range 60 {
				record, err := json.Marshal(map[string]string{"id": strings.Repeat(one, length) + fmt.Sprint(n)})
				if err != nil {
					t.Fatal(err)
				}
				records = append(records, string(record))
			}
			_, m, err := exportBody(b, plain, []byte("["+strings.Join(records, ",")+"]"))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range m.Parts {
				info, err := b.store.Head(t.Context(), p.Key)
				if err != nil {
					t.Fatal(err)
				}
				for name, value := range info.Metadata {
					widest = max(widest, len("x-amz-meta-")+len(name)+len(value))
					if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
						t.Errorf("%d of %q: no header carries %q", length, one, value[i:])
					}
				}
			}
			first := strings.Repeat(one, length) + "0"
			if digest := strings.HasPrefix(m.Parts[0].FirstID, "sha256:"); digest == (m.Parts[0].FirstID == first) || length < 10 && digest {
				t.Errorf("%d of %q: the first row is known as %q", length, one, m.Parts[0].FirstID)
			}
			b.verify(strings.Replace(b.key("_manifest.json"), "shop", b.set.Prefix, 1))
		}
	}
	const digits = 9 * 9 // by which the numbers of a large run are longer
	if t.Logf("metadata of %d bytes at most", widest); widest+digits > 2048 {
		t.Errorf("a checkpoint takes %d bytes", widest)
	}
}
