package proveexport

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/prove"
)

// TestFidelity sends records whose bytes a decoder would change, and as many
// random ones, through the handler to S3, and reads them there.
func TestFidelity(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../export/testdata/corpus.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	records := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	records = append(records, `{"id":"deep","x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`)
	records = append(records, `{"id":"16 MB","x":"`+strings.Repeat("長い文", (16<<20-100)/9)+`"}`)
	chance := random(8)
	for n := range sized(800, 100) {
		records = append(records, anyRecord(n, chance.IntN))
	}
	pretty := func(records []string) []string {
		indented := make([]string, len(records))
		for i, record := range records {
			var b bytes.Buffer
			if err := json.Indent(&b, []byte(record), " ", "\t"); err != nil {
				t.Error(err)
			}
			indented[i] = strings.ReplaceAll(b.String(), "\n", "\r\n ")
		}
		return indented
	}
	compact := func(records []string) string { return `{"members":[` + strings.Join(records, ",") + `]}` }
	forms := []func(records []string) string{
		compact,
		func(records []string) string { return "\xef\xbb\xbf" + compact(records) },
		func(records []string) string {
			var zipped bytes.Buffer
			z := gzip.NewWriter(&zipped)
			_, _ = z.Write([]byte(compact(records)))
			_ = z.Close()
			return zipped.String()
		},
		func(records []string) string {
			return " {\r\n\"members\" : [\r\n" + strings.Join(pretty(records), " ,\t") + "\n] } \n"
		},
		func(records []string) string {
			return `{"members":[{"member" : ` + strings.Join(pretty(records), " },\r\n{ \"member\": ") + ` }]}`
		},
	}
	same, decoded := 0, 0
	if len(records) > 900 {
		t.Fatal("more than one page") // whose limit the forms ignore
	}
	tried := 0
	for i, form := range forms {
		for j, compression := range []string{"gzip", "none"} {
			if prove.Handful() && (i+j)%4 != 3 || !prove.Full() && (i+j)%2 == 0 {
				continue
			}
			tried++
			local, err := awslocal.New(awslocal.Options{})
			if err != nil {
				t.Fatal(err)
			}
			list := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				start, _ := strconv.Atoi(r.URL.Query().Get("offset"))
				_, _ = w.Write([]byte(form(records[min(start, len(records)):])))
			})
			r := &rig{TB: t, vars: connected(t, list, local, local.Handler())}
			r.vars["HIKYAKU_EXPORT_COMPRESSION"] = compression
			r.vars["HIKYAKU_EXPORT_BODY_MIB"], r.vars["HIKYAKU_EXPORT_RECORD_MIB"] = "64", "32"
			r.reach()
			got := r.rows(r.verified(r.must(event("yappli/users", 1)).Manifest))
			if slices.Equal(got, records) {
				same++
			}
			_ = local.Close()
		}
	}
	for _, record := range records {
		var v any
		if json.Unmarshal([]byte(record), &v) == nil {
			if b, err := json.Marshal(v); err == nil && string(b) == record {
				decoded++
			}
		}
	}
	figure(t, same == tried, "fidelity at the S3 door", "all forms equal the records byte for byte",
		"%d of %d forms of %d records", same, tried, len(records))
	figure(t, decoded < len(records), "fidelity of decoding and encoding again", "not all", "%d of %d records", decoded, len(records))
}

// anyRecord is a record of random values with what JSON allows.
func anyRecord(n int, chance func(int) int) string {
	texts := []string{`"\u0041\/"`, `"山田 花子"`, `"a, b: {c}"`, `" "`, `"\ud800"`, `"\\\""`, `12345678901234567890`, `-0.0`, `1.10e2`, `1E+2`, `null`, `true`, `[]`, `{}`, `[1,{"a":" "}]`}
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"any %d"`, n)
	for range chance(8) {
		fmt.Fprintf(&b, `,"%s":%s`, []string{"a", "b", "名", `\u0061`, "a b"}[chance(5)], texts[chance(len(texts))])
	}
	return b.String() + "}"
}
