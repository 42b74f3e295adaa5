package export_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
)

func hashed(value string) string {
	mac := hmac.New(sha256.New, []byte("0123456789abcdef0123456789abcdef"))
	mac.Write([]byte(value))
	return `"hmac-sha256:` + hex.EncodeToString(mac.Sum(nil)) + `"`
}

func TestFields_OnlyTheirBytesChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		drop, hash string
		in, want   string
	}{
		{"a", "", `{"id":1,"a":2}`, `{"id":1}`},
		{"a", "", `{"a":2,"id":1}`, `{"id":1}`},
		{"a", "", `{"a":2,"id":"x"}`, `{"id":"x"}`},
		{"a", "", `{"id":0,"a":1,"b":1.10e2,"a":[2],"c":"\u0041"}`, `{"id":0,"b":1.10e2,"c":"\u0041"}`},
		{"a", "", `{"id":0,"\u0061":"secret","b":{"a":1}}`, `{"id":0,"b":{"a":1}}`},
		{"b.a", "", `{"id":0,"a":1,"b":{"a":"x","c":2},"b":[{"a":"y"},{"c":3},[{"a":"z","d":4}],5]}`, `{"id":0,"a":1,"b":{"c":2},"b":[{},{"c":3},[{"d":4}],5]}`},
		{"b.a?", "", `{"id":0,"b":"text","c":[]}`, `{"id":0,"b":"text","c":[]}`},
		{"b.a?", "", `{"id":0,"b":[],"c":{}}`, `{"id":0,"b":[],"c":{}}`},
		{"", "p", `{"id":0,"p":"0900000000","q":"0900000000"}`, `{"id":0,"p":` + hashed("0900000000") + `,"q":"0900000000"}`},
		{"", "p", `{"id":0,"p":"\u0030900000000"}`, `{"id":0,"p":` + hashed("0900000000") + `}`},
		{"", "p", `{"id":0,"p":12.50,"p":true}`, `{"id":0,"p":` + hashed("12.50") + `,"p":` + hashed("true") + `}`},
		{"", "p", `{"id":0,"p":null,"p":""}`, `{"id":0,"p":null,"p":` + hashed("") + `}`},
		{"", "p", `{"id":0,"p":[1,"x"],"p":{"q":1}}`, `{"id":0,"p":` + hashed(`[1,"x"]`) + `,"p":` + hashed(`{"q":1}`) + `}`},
		{"", "l.p", `{"id":0,"l":[{"p":"x"},{"p":"x"}]}`, `{"id":0,"l":[{"p":` + hashed("x") + `},{"p":` + hashed("x") + `}]}`},
		{"x", "y", `{"id":0,"x":1,"y":2,"z":3}`, `{"id":0,"y":` + hashed("2") + `,"z":3}`},
	} {
		b := newBench(t, newList(pagination.Unpaged, 0))
		f := export.Fields{}
		if c.drop != "" {
			f.Drop = []string{c.drop}
		}
		if c.hash != "" {
			f.Hash = []string{c.hash}
		}
		b.set.Fields = map[string]export.Fields{b.dataset.String(): f}
		got, m, err := exportBody(b, plain, []byte("[ "+c.in+" ]"))
		if err != nil || strings.Join(got, "|") != c.want {
			t.Errorf("drop %q, hash %q of %s: got %s, want %s (%v)", c.drop, c.hash, c.in, got, c.want, err)
		}
		if strings.Join(m.Dropped, "") != strings.TrimSuffix(c.drop, "?") || strings.Join(m.Hashed, "") != c.hash {
			t.Errorf("the manifest names %v and %v", m.Dropped, m.Hashed)
		}
		b.verify(b.key("_manifest.json"))
	}
}

func TestFields_FaultsAreAllNamed(t *testing.T) {
	t.Parallel()
	d := dataset(t, "shopline/orders")
	f := export.Fields{
		Drop: []string{"id", "", "a..b", "order_delivery", "order_delivery.shipped_at", "both", "fine"},
		Hash: []string{"both", "updated_at", "order_delivery.remark"},
	}
	var all []string
	for _, fault := range f.Faults(d) {
		all = append(all, fault.Error())
	}
	want := []string{
		"shopline/orders: id cannot be dropped or hashed: the export finds its place by it",
		`shopline/orders: "" is not a path such as "customer.email"`,
		`shopline/orders: "a..b" is not a path such as "customer.email"`,
		"shopline/orders: order_delivery cannot be dropped or hashed: the export finds its place by it",
		"shopline/orders: order_delivery.shipped_at cannot be dropped or hashed: the export finds its place by it",
		"shopline/orders: both is both dropped and hashed",
		"shopline/orders: both is both dropped and hashed",
		"shopline/orders: updated_at cannot be dropped or hashed: the export finds its place by it",
		"shopline/orders: order_delivery.remark is inside order_delivery, which is dropped or hashed as a whole",
	}
	if strings.Join(all, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(all, "\n"), strings.Join(want, "\n"))
	}
}

// TestFields_RowsWithoutAUsableIDAreStoredOnce: the second look at an unordered
// source knows them again, although they are stored without what was dropped;
// those without any id are rejected once.
func TestFields_RowsWithoutAUsableIDAreStoredOnce(t *testing.T) {
	t.Parallel()
	for _, f := range []export.Fields{{Drop: []string{"a"}}, {Hash: []string{"a"}}, {}} {
		b := newBench(t, newList(pagination.ByOffset, 25))
		b.list.render = func(n int) string {
			switch n / 1000 % 3 {
			case 0:
				return `{"a":"x","b":` + id(n)[4:] + `0}`
			case 1:
				return `{"id":"` + strings.Repeat("long", 50) + id(n) + `","a":"x"}`
			}
			return `{"a":7,"id":"` + id(n) + `"}`
		}
		b.feed.Unordered = true
		b.set.Fields = map[string]export.Fields{b.dataset.String(): f}
		if m := b.manifest(b.extract(due).Manifest); m.Rows != 17 || m.Rejects != 8 || m.Late != 0 {
			t.Errorf("%+v: %d rows of 17, %d of them late, %d rejects of 8", f, m.Rows, m.Late, m.Rejects)
		}
		b.verify(b.key("_manifest.json"))
	}
}
