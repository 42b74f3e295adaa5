package mapping_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"hikyaku/internal/webhookrelay/mapping"
)

// TestSchema holds the file that editors read against what Parse knows. To write
// it again: hikyaku mapping schema > config/mapping.schema.json
func TestSchema(t *testing.T) {
	t.Parallel()
	stored, err := os.ReadFile("../../../config/" + mapping.SchemaFile)
	if err != nil || !bytes.Equal(stored, mapping.Schema()) {
		t.Errorf("config/%s is not the schema of this version: %v", mapping.SchemaFile, err)
	}
	var schema struct {
		Properties map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"properties"`
		Definitions struct {
			Expression struct {
				AnyOf []struct {
					Enum []string `json:"enum"`
				} `json:"anyOf"`
			} `json:"expression"`
		} `json:"definitions"`
	}
	if err := json.Unmarshal(mapping.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	for name := range schema.Properties {
		source := "options: {password: on_create}\ncolumn49: name\n" + name + ": email\n"
		if name == "options" || name == "link_if" {
			continue
		}
		if _, err := mapping.Parse("m.yaml", []byte(source)); err != nil && name != "column49" {
			t.Errorf("the schema has %s: %v", name, err)
		}
	}
	if _, err := mapping.Parse("m.yaml", []byte("options: {nosuch: x}\ncolumn01: name\n")); err == nil || len(schema.Properties["options"].Properties) == 0 {
		t.Error("no options")
	} else {
		for name := range schema.Properties["options"].Properties {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("the schema has an option %s that Parse does not name: %v", name, err)
			}
		}
	}
	if fields := schema.Definitions.Expression.AnyOf[0].Enum; len(fields) != len(mapping.SourceFields())-1 {
		t.Errorf("fields %v", fields)
	}
	example, err := os.ReadFile("../../../config/mapping.yaml")
	if err != nil || !strings.HasPrefix(string(example), mapping.SchemaLine) {
		t.Errorf("the example does not name the schema: %v", err)
	}
}
