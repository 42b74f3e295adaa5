package repotest_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers/sandbox"
)

var (
	quoted  = regexp.MustCompile("`([^`]+)`")
	columns = regexp.MustCompile("`column01` to `column50`")
)

// docs/export-format.md names each field that a sandbox sends, with each kind of value
// that it has there, once.
func TestExportFormat_NamesTheFields(t *testing.T) {
	t.Parallel()
	page := string(readFile(t, "docs/export-format.md"))
	for _, d := range export.Datasets() {
		_, section, _ := strings.Cut(page, "\n### Fields of `"+d.String()+"`\n")
		section, _, _ = strings.Cut(section, "\n##")
		kinds := map[string]string{}
		for _, row := range strings.Split(section, "\n") {
			cells := strings.Split(strings.Trim(row, "| "), " | ")
			if len(cells) < 2 || cells[0] == "field" {
				continue
			}
			for _, name := range quoted.FindAllStringSubmatch(columns.ReplaceAllString(cells[0], "`column`"), -1) {
				if kinds[name[1]] != "" {
					t.Errorf("%s: %s stands in the page twice", d, name[1])
				}
				kinds[name[1]] = strings.Trim(cells[1], " |")
			}
		}
		for name, values := range sent(t, d) {
			if columnName.MatchString(name) {
				name = "column"
			}
			for _, value := range values {
				if kind := kindOf(value); !strings.Contains(" or "+kinds[name]+" or ", " or "+kind+" or ") {
					t.Errorf("%s: %s is %s, such as %.40s, and the page says %q", d, name, kind, value, kinds[name])
					break
				}
			}
		}
	}
}

var columnName = regexp.MustCompile(`^column\d\d$`)

// sent are the values of each field of a sandbox's records.
func sent(t *testing.T, d export.Dataset) map[string][]json.RawMessage {
	t.Helper()
	var dump bytes.Buffer
	if err := localstack.NewSandbox(d.Provider, sandbox.Options{Records: 400}).Dump(&dump); err != nil {
		t.Fatal(err)
	}
	var lists map[string]json.RawMessage
	var records []map[string]json.RawMessage
	if err := json.Unmarshal(dump.Bytes(), &lists); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(lists[d.Name], &records); err != nil || len(records) < 100 {
		t.Fatalf("%s: the sandbox has %d records: %v", d, len(records), err)
	}
	values := map[string][]json.RawMessage{}
	for _, r := range records {
		for name, value := range r {
			values[name] = append(values[name], value)
		}
	}
	return values
}

// kindOf names the kind of a JSON value as the page does.
func kindOf(value json.RawMessage) string {
	switch value[0] {
	case '"':
		return "text"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "true/false"
	case 'n':
		return "null"
	}
	return "number"
}
