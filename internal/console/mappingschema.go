package console

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
)

// A completion is what the editor of the mapping offers at a place.
type completion struct {
	Label  string `json:"label"`
	Type   string `json:"type,omitempty"`
	Detail string `json:"detail,omitempty"`
	Apply  string `json:"apply,omitempty"`
}

// A mappingSchema is the part of 'hikyaku mapping schema' that the editor completes by.
type mappingSchema struct {
	Properties  map[string]schemaNode
	Definitions struct {
		Expression struct {
			AnyOf []struct {
				Enum     []string
				Examples []string
			}
		}
	}
}

type schemaNode struct {
	Type        string
	Description string
	Enum        []string
	Examples    []string
	Properties  map[string]schemaNode
	Items       *schemaNode
}

// serveMappingSchema answers with what can stand where in a mapping: by the path of keys,
// in which * stands for any one key, and : for the value.
func (s *Server) serveMappingSchema(w http.ResponseWriter, r *http.Request) {
	var schema mappingSchema
	if err := s.reader.readWithin(r.Context(), readLimit, &schema, "mapping", "schema"); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"paths": schema.paths()})
}

func (m mappingSchema) paths() map[string][]completion {
	paths := map[string][]completion{}
	for _, name := range slices.Sorted(maps.Keys(m.Properties)) {
		node := m.Properties[name]
		paths[""] = append(paths[""], completion{Label: name, Type: "property", Apply: name + ": ", Detail: node.Description})
		switch {
		case len(node.Properties) > 0:
			for _, option := range slices.Sorted(maps.Keys(node.Properties)) {
				of := node.Properties[option]
				paths[name] = append(paths[name], completion{Label: option, Type: "property", Apply: option + ": ", Detail: of.Description})
				paths[name+"."+option+".:"] = completions(slices.Concat(of.Enum, of.Examples), "enum")
			}
		case node.Items != nil:
			paths[name+".:"] = completions(node.Items.Enum, "property")
		}
	}
	paths["*.:"] = m.expressions()
	return paths
}

// expressions are what a field can be made of.
func (m mappingSchema) expressions() []completion {
	var all []completion
	for _, kind := range m.Definitions.Expression.AnyOf {
		all = slices.Concat(all, completions(kind.Enum, "variable"), completions(kind.Examples, "function"))
	}
	return all
}

func completions(labels []string, kind string) []completion {
	all := make([]completion, 0, len(labels))
	for _, label := range labels {
		all = append(all, completion{Label: label, Type: kind})
	}
	return all
}
