package schema

import (
	_ "embed"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// nodesYAML is the catalogue: one block of the file for each node type, after
// the blocks $enums, $records and $common that they share. Blocks are parsed
// when first asked for, as parsing all of them costs several milliseconds.
//
//go:embed nodes.yaml
var nodesYAML string

// NodeType is what the catalogue says of one type of node.
type NodeType struct {
	Name        string
	Category    string
	Summary     string
	Inputs      []Field  // in the catalogue's order, without the common ones
	Outputs     []Output // those with a fixed name, without the common ones
	OutputsFrom []OutputsFrom
	OpenInputs  bool   // takes inputs that only a saved object knows
	OpenOutputs bool   // has outputs that only a saved object knows
	Effects     bool   // does something outside of the run, or only speaks to people
	NoBatch     string // why it cannot be in batch mode, or ""
	Instead     string // what to do on a machine of one's own, where only the platform runs it, or ""
	Element     string // the input whose value, or default, is the type T; "": the input `type`, where it is written
	Notes       []string

	plain bool // some input is
}

// Field is one input of a node type, or one field of a record.
type Field struct {
	Name     string
	Type     string // string, int32, vec<string>, enum, a record's name, ...; T is the element type
	Enum     []string
	Local    []string // those of Enum that the platform does not have
	Default  any      // nil where none is published
	Required bool
	When     When
	Secret   bool // a key or a password
	Inferred bool // not documented by the platform
	Plain    bool // braces in it are no references
	Doc      string
}

// Output is one output of a node.
type Output struct {
	Name     string
	Type     string // as Field.Type; path is a branch that was taken or not
	When     When
	Inferred bool
	Doc      string
}

// OutputsFrom says that outputs are named by what the author wrote in an input.
type OutputsFrom struct {
	Input string
	As    string // keys: of the map · items: of the list, by Field · paths: path_0, path_1, ... one an item
	Field string
	Type  string
	Plain bool // as OutputName makes them of what the author wrote
}

// Record is the shape of a structured input value.
type Record struct {
	Name   string
	Scalar string   // the field that a plain string stands for, or ""
	List   []string // the fields that the elements of a list stand for, in order, or nil
	Fields []Field
}

// blocks gives the names in the file's order and the text of each block.
var blocks = sync.OnceValues(func() ([]string, map[string]string) {
	var names []string
	texts := map[string]string{}
	start, name := 0, ""
	for at := 0; at < len(nodesYAML); {
		line, _, _ := strings.Cut(nodesYAML[at:], "\n")
		if line != "" && !strings.ContainsRune(" #", rune(line[0])) {
			if name != "" {
				texts[name] = nodesYAML[start:at]
			}
			start = at
			name, _, _ = strings.Cut(line, ":")
			names = append(names, name)
		}
		at += len(line) + 1
	}
	texts[name] = nodesYAML[start:]
	return names, texts
})

// NodeTypes lists the names of all node types in the catalogue's order.
func NodeTypes() []string {
	names, _ := blocks()
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n[0] == '$' })
}

var parsedTypes sync.Map // name -> *NodeType

// LookupNodeType gives the catalogue's entry for a type, or nil for a type that
// it does not know.
func LookupNodeType(name string) *NodeType {
	if t, ok := parsedTypes.Load(name); ok {
		return t.(*NodeType)
	}
	_, texts := blocks()
	if texts[name] == "" || name[0] == '$' {
		return nil
	}
	t, _ := parsedTypes.LoadOrStore(name, parseNodeType(name))
	return t.(*NodeType)
}

// CommonInputs are the inputs that every node type has.
func CommonInputs() []Field { return common().Inputs }

// CommonOutputs are the outputs that every node type has.
func CommonOutputs() []Output { return common().Outputs }

var common = sync.OnceValue(func() *NodeType { return parseNodeType("$common") })

// LookupRecord gives the record of that name.
func LookupRecord(name string) (Record, bool) {
	r, ok := records()[name]
	return r, ok
}

var records = sync.OnceValue(func() map[string]Record {
	all := map[string]Record{}
	for name, body := range pairs(block("$records")) {
		r := Record{Name: name}
		for key, value := range pairs(body) {
			switch key {
			case "$scalar":
				r.Scalar = value.Value
			case "$list":
				must(value.Decode(&r.List))
			default:
				r.Fields = append(r.Fields, parseField(key, value))
			}
		}
		all[name] = r
	}
	return all
})

var enums = sync.OnceValue(func() map[string][]string {
	all := map[string][]string{}
	must(block("$enums").Decode(&all))
	return all
})

// block parses one block; the file is embedded, so a mistake in it is a bug.
func block(name string) *yaml.Node {
	_, texts := blocks()
	var doc yaml.Node
	must(yaml.Unmarshal([]byte(texts[name]), &doc))
	return doc.Content[0].Content[1]
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("schema: nodes.yaml: %v", err))
	}
}

// pairs walks a mapping in the order in which it was written.
func pairs(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

func parseNodeType(name string) *NodeType {
	t := &NodeType{Name: name}
	for key, value := range pairs(block(name)) {
		switch key {
		case "category":
			t.Category = value.Value
		case "summary":
			t.Summary = value.Value
		case "inputs":
			for n, v := range pairs(value) {
				f := parseField(n, v)
				t.Inputs, t.plain = append(t.Inputs, f), t.plain || f.Plain
			}
		case "outputs":
			for n, v := range pairs(value) {
				f := parseField(n, v)
				t.Outputs = append(t.Outputs, Output{Name: n, Type: f.Type, When: f.When, Inferred: f.Inferred, Doc: f.Doc})
			}
		case "outputs_from":
			must(value.Decode(&t.OutputsFrom))
		case "open_inputs":
			t.OpenInputs = value.Value == "true"
		case "open_outputs":
			t.OpenOutputs = value.Value == "true"
		case "effects":
			t.Effects = value.Value == "true"
		case "no_batch":
			t.NoBatch = value.Value
		case "instead":
			t.Instead = value.Value
		case "element":
			t.Element = value.Value
		case "notes":
			must(value.Decode(&t.Notes))
		default:
			panic(fmt.Sprintf("schema: nodes.yaml: %s: unknown key %q", name, key))
		}
	}
	return t
}

func parseField(name string, n *yaml.Node) Field {
	f := Field{Name: name}
	for key, value := range pairs(n) {
		switch key {
		case "type":
			f.Type = value.Value
		case "enum":
			if list, named := strings.CutPrefix(value.Value, "$"); named {
				f.Enum = enums()[list]
			} else {
				must(value.Decode(&f.Enum))
			}
		case "local":
			must(value.Decode(&f.Local))
		case "default":
			f.Default, _ = Value(value)
		case "required":
			f.Required = value.Value == "true"
		case "when":
			when, err := parseWhen(value.Value)
			must(err)
			f.When = when
		case "secret":
			f.Secret = value.Value == "true"
		case "inferred":
			f.Inferred = value.Value == "true"
		case "plain":
			f.Plain = value.Value == "true"
		case "doc":
			f.Doc = value.Value
		default:
			panic(fmt.Sprintf("schema: nodes.yaml: %s: unknown key %q", name, key))
		}
	}
	return f
}

// Plain tells whether braces in an input are no references.
func (t *NodeType) Plain(name string) bool {
	if t == nil || !t.plain {
		return false
	}
	f, _ := t.Input(name)
	return f.Plain
}

// Input gives the input of that name, common ones included.
func (t *NodeType) Input(name string) (Field, bool) {
	for _, fields := range [][]Field{t.Inputs, CommonInputs()} {
		for _, f := range fields {
			if f.Name == name {
				return f, true
			}
		}
	}
	return Field{}, false
}
