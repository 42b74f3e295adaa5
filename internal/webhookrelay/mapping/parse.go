package mapping

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/conf"
	"go.yaml.in/yaml/v3"

	"hikyaku/pkg/providers/yappli"
)

// mostFile is how large a mapping's file may be.
const mostFile = 1 << 18

// forbidden targets, each with the reason.
var forbidden = map[string]string{
	"unique_id": "it is made of the identity setting",
	"enabled":   "the relay alone decides it; an operator's 0 must stay",
	"point":     "the API cannot set it",
}

// targetNames are the fields of Yappli that a mapping may set.
func targetNames() []string {
	return slices.DeleteFunc(yappli.RequestFields(), func(name string) bool { return forbidden[name] != "" })
}

// A file is a mapping while it is read.
type file struct {
	mapping  Mapping
	identity string       // the source field of unique_id; empty: not known
	language *conf.Config // of the expressions: one for all, which takes time to make
	lines    [][]rune     // of the file
	faults   []Fault
}

// Parse reads a mapping. name is for messages. Every fault is reported, each
// with line, key and what to write; a mapping without targets is one.
func Parse(name string, source []byte) (*Mapping, error) { return ParseFor("", name, source) }

// ParseFor is Parse for a relay whose identity is made of a source field, which
// link_if must not repeat. The error is a *FaultsError.
func ParseFor(identity, name string, source []byte) (*Mapping, error) {
	m, faults := Draft(identity, source)
	if len(faults) > 0 {
		return nil, &FaultsError{Name: name, Faults: faults}
	}
	return m, nil
}

// Draft is ParseFor of a file that somebody is still writing: of one with faults, the
// mapping has those lines that have none. It is to be looked at, and never to be published.
func Draft(identity string, source []byte) (*Mapping, []Fault) {
	f := file{mapping: Mapping{options: options{zone: time.UTC}}, identity: identity, language: language(), lines: linesOf(source)}
	f.read(source)
	f.mapping.digest = DigestOf(source)
	f.leaveOutBroken()
	// Not by package slices: each instance of its generic sort adds 10 KB to the function.
	targets, faults := f.mapping.targets, f.faults
	sort.Slice(targets, func(i, j int) bool { return targets[i].name < targets[j].name })
	sort.SliceStable(faults, func(i, j int) bool {
		a, b := faults[i], faults[j]
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) < 0
	})
	return &f.mapping, f.faults
}

func (f *file) fault(at place, key, format string, args ...any) {
	f.faults = append(f.faults, Fault{at.line, at.column, key, fmt.Sprintf(format, args...)})
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)

// topLine is a line that may be left out without changing the meaning of others.
var topLine = regexp.MustCompile(`^[A-Za-z0-9_]+: `)

// documents reads the file's YAML documents. Of a line that is not YAML it says
// so, and goes on without it, so that all other faults are named too.
func (f *file) documents(source []byte) []*yaml.Node {
	lines := bytes.Split(source, []byte("\n"))
	for {
		all, err := decode(bytes.Join(lines, []byte("\n")))
		if err == nil {
			return all
		}
		at, line := yamlLine.FindStringSubmatch(err.Error()), 1
		if at != nil && at[1] != "" {
			line, _ = strconv.Atoi(at[1])
		}
		f.fault(place{line, 1}, "", "not YAML: %s; each line is 'field: expression', and an expression with ': ' or ' #' in it must be in single quotes", yamlLine.ReplaceAllString(err.Error(), ""))
		if line > len(lines) || !topLine.Match(lines[line-1]) {
			return all
		}
		lines[line-1] = nil
	}
}

// decode reads documents up to the end or to what is not YAML.
func decode(source []byte) (all []*yaml.Node, _ error) {
	for dec := yaml.NewDecoder(bytes.NewReader(source)); ; {
		var document yaml.Node
		err := dec.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, &document)
	}
}

func (f *file) read(source []byte) {
	if len(source) > mostFile {
		f.fault(place{1, 1}, "", "the file has %d bytes; at most %d are read", len(source), mostFile)
		return
	}
	documents := f.documents(source)
	if len(documents) == 0 || len(documents[0].Content) == 0 || documents[0].Content[0].Kind != yaml.MappingNode {
		if len(f.faults) == 0 {
			f.fault(place{1, 1}, "", "no mapping: at least one line such as 'column01: full_name' is needed; 'hikyaku mapping init' writes a starter")
		}
		return
	}
	pairs := documents[0].Content[0].Content
	seen := map[string]int{}
	for _, turn := range []string{"options", "", linkIfKey} { // "": the targets, between what they need and what needs them
		for i := 0; i < len(pairs); i += 2 {
			key := pairs[i]
			if is := key.Value; is != turn && (turn != "" || is == "options" || is == linkIfKey) {
				continue
			}
			if line := seen[key.Value]; line > 0 {
				f.fault(at(key), key.Value, "mapped twice, first on line %d: remove one of the two", line)
				continue
			}
			seen[key.Value] = key.Line
			switch turn {
			case "options":
				f.readOptions(pairs[i+1])
			case linkIfKey:
				f.readLinkIf(key, pairs[i+1])
			default:
				f.readTarget(key, pairs[i+1])
			}
		}
	}
	if len(f.faults) == 0 && !slices.ContainsFunc(f.mapping.targets, func(t target) bool { return t.name != "password" }) {
		f.fault(place{1, 1}, "", "no target that an update could set: map at least one, such as 'column01: full_name'")
	}
	for _, second := range documents[1:] {
		f.fault(at(second), "---", "a second document, which nothing would read: write all fields into one, without the line ---")
	}
}

// An option is one line below "options".
type option struct {
	values  []string // if those are all
	example string
	what    string
	set     func(o *options, value string) bool
}

var fileOptions = map[string]option{
	"zone": {nil, "Asia/Tokyo", "an IANA time zone: that of date()", func(o *options, v string) bool {
		zone, err := zoneOf(v)
		if err == nil {
			o.zone = zone
		}
		return err == nil
	}},
	"region": {nil, "JP", "two letters of a country: that of e164() and domestic()", func(o *options, v string) bool {
		o.region = strings.ToUpper(v)
		return isRegion(v)
	}},
	"password": {[]string{"never", "on_create"}, "never", "on_create allows a line 'password', which is sent with a creation only", func(o *options, v string) bool {
		o.password = v == "on_create"
		return true
	}},
	"empty": {[]string{"send", "keep"}, "send", "send empties a column whose source is empty; keep leaves it as it is", func(o *options, v string) bool {
		o.keep = v == "keep"
		return true
	}},
}

func (f *file) readOptions(node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		f.fault(at(node), "options", "lines such as 'region: JP' belong below it, indented; known: %s", optionNames())
		return
	}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		key, v := node.Content[i], node.Content[i+1]
		name := "options." + key.Value
		o, known := fileOptions[key.Value]
		switch {
		case seen[key.Value]:
			f.fault(at(key), name, "is set twice: remove one of the two")
		case !known:
			f.fault(at(key), name, "no such option%s; known: %s", meant(key.Value, optionNames()), strings.Join(optionNames(), ", "))
		case v.Kind != yaml.ScalarNode || len(o.values) > 0 && !slices.Contains(o.values, v.Value) || !o.set(&f.mapping.options, v.Value):
			f.fault(at(v), name, "%q is not %s; write %s", v.Value, cmp.Or(strings.Join(o.values, " or "), o.what), o.example)
		}
		seen[key.Value] = true
	}
}

func optionNames() []string { return []string{"zone", "region", "password", "empty"} }

func (f *file) readTarget(key, v *yaml.Node) {
	source := strings.TrimSpace(v.Value)
	t := target{name: key.Value, source: source}
	switch reason, no := forbidden[t.name]; {
	case no:
		f.fault(at(key), t.name, "cannot be mapped, as %s: remove the line", reason)
		return
	case !slices.Contains(targetNames(), t.name):
		f.fault(at(key), t.name, "no such field in Yappli%s; known: login_id, password, rank, column01 to column50, secret_question, secret_answer, logined, logined_at",
			meant(t.name, []string{"login_id", "password", "rank", "column01", "secret_question", "secret_answer", "logined", "logined_at", "options", linkIfKey}))
		return
	case t.name == "password" && !f.mapping.options.password:
		f.fault(at(key), t.name, "needs the explicit policy 'options: {password: on_create}'; it is sent on creation only")
		return
	case v.Kind != yaml.ScalarNode || source == "" || v.Tag == "!!null":
		f.fault(at(key), t.name, "a field name or an expression is expected, such as full_name or e164(mobile)")
		return
	case v.Tag != "!!str":
		f.fault(at(v), t.name, "%s is no field and no expression; for the same text on every member write '\"%s\"'", source, source)
		return
	case source != "form" && slices.Contains(SourceFields(), source):
		t.field = source
	default:
		j := judge{options: &f.mapping.options}
		t.node = j.read(source, f.language)
		t.uses = j.uses
		if len(j.faults) == 0 && t.name == "login_id" && !j.varies {
			j.fault("every member would get the same one: name a field that tells them apart, such as email")
		}
		t.broken = len(j.faults) > 0
		for _, slip := range j.faults {
			f.fault(f.within(v, slip.at), t.name, "%s", slip.text)
		}
	}
	f.mapping.targets = append(f.mapping.targets, t)
}
