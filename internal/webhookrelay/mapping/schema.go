package mapping

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// SchemaFile is the name under which a mapping's first line looks for its schema.
const SchemaFile = "mapping.schema.json"

// SchemaLine is that line: editors that know YAML schemas complete the file by it.
const SchemaLine = "# yaml-language-server: $schema=" + SchemaFile + "\n"

// Schema is the JSON schema of a mapping's file. It knows the names of fields
// and options; what an expression may say, Parse knows.
func Schema() []byte {
	type object = map[string]any
	options, targets := object{}, object{}
	for name, o := range fileOptions {
		options[name] = object{"type": "string", "description": o.what, "examples": []string{o.example}}
		if len(o.values) > 0 {
			options[name] = object{"enum": o.values, "description": o.what}
		}
	}
	targets["options"] = object{"type": "object", "additionalProperties": false, "properties": options}
	targets[linkIfKey] = object{
		"type": "array", "minItems": 1, "uniqueItems": true, "items": object{"enum": targetNames()},
		"description": "fields whose values must agree before a member who exists is linked, where HIKYAKU_LINK is match",
	}
	for _, name := range targetNames() {
		targets[name] = object{"$ref": "#/definitions/expression"}
	}
	usages := make([]string, 0, len(functions))
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		usages = append(usages, functions[name].usage)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(object{ // of texts and maps, which can be encoded
		"$schema": "http://json-schema.org/draft-07/schema#",
		"title":   "Hikyaku: what each field of a Yappli member is made of",
		"type":    "object", "additionalProperties": false, "properties": targets,
		"definitions": object{"expression": object{
			"description": "a SuperSaaS field, or an expression over them",
			"type":        "string", "minLength": 1, "maxLength": mostSource,
			"anyOf": []object{
				{"enum": slices.DeleteFunc(SourceFields(), func(name string) bool { return name == "form" })},
				{"examples": usages},
			},
		}},
	})
	return b.Bytes()
}
