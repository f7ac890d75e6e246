package schema

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"gopkg.in/yaml.v3"
)

//go:embed core.schema.json
var coreJSON []byte

//go:embed result.schema.json
var resultJSON []byte

// compiled is a schema ready for use, with its source beside it: the source
// says what would have been right.
type compiled struct {
	schema *jsonschema.Schema
	source map[string]any
}

// compile panics on a bad schema: all of them are our own. Those that a batch
// file is held against are compiled as draft 7, in which their keywords mean the
// same: against its metaschema, a schema is checked in a third of the time.
func compile(draft *jsonschema.Draft, source map[string]any, raw []byte) *compiled {
	const url = "nightshift:///schema.json" // absolute, or the compiler asks for the working folder
	c := jsonschema.NewCompiler()
	c.Draft = draft
	if err := c.AddResource(url, bytes.NewReader(raw)); err != nil {
		panic(fmt.Sprintf("schema: %v", err))
	}
	s, err := c.Compile(url)
	if err != nil {
		panic(fmt.Sprintf("schema: %v", err))
	}
	return &compiled{schema: s, source: source}
}

func parseSchema(raw []byte) map[string]any {
	var source map[string]any
	if err := json.Unmarshal(raw, &source); err != nil {
		panic(fmt.Sprintf("schema: %v", err))
	}
	delete(source, "$id") // locations are then relative to the url above
	return source
}

var core = sync.OnceValue(func() *compiled {
	source := parseSchema(coreJSON)
	delete(source, "$schema")
	return compile(jsonschema.Draft7, source, marshal(source))
})

// One schema for each node type, compiled when that type is first used: one
// schema over all types costs 100 ms, and names every type's wishes at a mistake.
var inputSchemas sync.Map // type name -> *compiled

func inputsSchemaOf(t *NodeType) *compiled {
	if s, ok := inputSchemas.Load(t.Name); ok {
		return s.(*compiled)
	}
	raw := marshal(inputsSchema(t))
	s, _ := inputSchemas.LoadOrStore(t.Name, compile(jsonschema.Draft7, parseSchema(raw), raw))
	return s.(*compiled)
}

func marshal(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("schema: %v", err))
	}
	return raw
}

// ValidateBatch checks a whole batch file but for the inputs of its nodes. The
// node is the file's root, aliases resolved.
func ValidateBatch(root *yaml.Node) []Problem {
	return core().validate(root, "")
}

// ValidatePipeline checks the contents of a pipeline file.
func ValidatePipeline(root *yaml.Node) []Problem {
	source := core().source
	sub := map[string]any{"$ref": "#/$defs/pipeline", "$defs": source["$defs"]}
	return compile(jsonschema.Draft7, sub, marshal(sub)).validate(root, "pipeline")
}

// ValidateInputs checks the inputs of a node against its type; where is the
// node's place in words, such as "pipeline.nodes.llm.inputs".
func ValidateInputs(t *NodeType, inputs *yaml.Node, where string) []Problem {
	return inputsSchemaOf(t).validate(inputs, where)
}

func (c *compiled) validate(root *yaml.Node, where string) []Problem {
	value, err := Value(root)
	if err != nil {
		return []Problem{at(root, "%v", err)}
	}
	err = c.schema.Validate(value)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return []Problem{at(root, "%v", err)}
	}
	t := translator{root: root, where: where, source: c.source}
	t.walk(invalid)
	return t.problems
}

func at(n *yaml.Node, format string, args ...any) Problem {
	return Problem{Line: n.Line, Col: n.Column, Message: fmt.Sprintf(format, args...)}
}

// ResultValidator checks result lines, decoded with numbers kept as json.Number.
func ResultValidator() *jsonschema.Schema {
	source := parseSchema(resultJSON)
	return compile(jsonschema.Draft2020, source, marshal(source)).schema
}

// BatchSchema is the published JSON Schema of batch files: the core, and under
// each node type the inputs that it takes.
func BatchSchema() []byte {
	source := parseSchema(coreJSON)
	source["$id"] = "urn:nightshift:batch:1"
	defs := source["$defs"].(map[string]any)
	node := defs["node"].(map[string]any)
	var types, byType []any
	for _, name := range NodeTypes() {
		types = append(types, name)
		defs["inputs."+name] = inputsSchema(LookupNodeType(name))
		byType = append(byType, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"type": map[string]any{"const": name}}, "required": []any{"type"}},
			"then": map[string]any{"properties": map[string]any{"inputs": map[string]any{"$ref": "#/$defs/inputs." + name}}},
		})
	}
	node["properties"].(map[string]any)["type"].(map[string]any)["examples"] = types
	node["allOf"] = byType
	return indent(source)
}

// ResultSchema is the published JSON Schema of a result line.
func ResultSchema() []byte { return slices.Clone(resultJSON) }

func indent(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("schema: %v", err))
	}
	return b.Bytes()
}

// pointer splits a JSON pointer into its unescaped tokens.
func pointer(p string) []string {
	if p == "" {
		return nil
	}
	tokens := strings.Split(strings.TrimPrefix(p, "/"), "/")
	for i, t := range tokens {
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(t)
	}
	return tokens
}
