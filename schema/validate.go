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

// One schema for each node type, compiled when a node of that type has a mistake: one
// schema over all types costs 100 ms, and names every type's wishes at a mistake.
var inputSchemas sync.Map // inputsOf -> *compiled

type inputsOf struct {
	typ   string
	batch bool
}

func inputsSchemaOf(t *NodeType, batch bool) *compiled {
	key := inputsOf{t.Name, batch}
	if s, ok := inputSchemas.Load(key); ok {
		return s.(*compiled)
	}
	source := inputsSchema(t)
	if batch {
		source = batchInputsSchema(t)
		source["$defs"] = map[string]any{"inputs." + t.Name: inputsSchema(t)}
	}
	raw := marshal(source)
	s, _ := inputSchemas.LoadOrStore(key, compile(jsonschema.Draft7, parseSchema(raw), raw))
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
	return core().validate(translator{root: root, noBatch: true})
}

// ValidatePipeline checks the contents of a pipeline file.
func ValidatePipeline(root *yaml.Node) []Problem {
	source := core().source
	sub := map[string]any{"$ref": "#/$defs/pipeline", "$defs": source["$defs"]}
	return compile(jsonschema.Draft7, sub, marshal(sub)).validate(translator{root: root, where: "pipeline", noBatch: true})
}

// ValidateInputs checks the inputs of a node against its type; where is the
// node's place in words, such as "pipeline.nodes.llm.inputs".
func ValidateInputs(t *NodeType, inputs *yaml.Node, where string) []Problem {
	return validateInputs(t, inputs, false, where)
}

// ValidateBatchInputs is ValidateInputs for a node in batch mode: where one value may
// stand, a list of such values may stand as well.
func ValidateBatchInputs(t *NodeType, inputs *yaml.Node, where string) []Problem {
	return validateInputs(t, inputs, true, where)
}

func validateInputs(t *NodeType, inputs *yaml.Node, batch bool, where string) []Problem {
	if value, err := Value(inputs); err == nil && t.accepts(value, batch) {
		return nil
	}
	tr := translator{root: inputs, where: where, noBatch: batch || t.NoBatch != ""}
	return inputsSchemaOf(t, batch).validate(tr)
}

// Prepare compiles what every batch file is held against, while something else is done.
func Prepare() { go core() }

// validate gives the problems of what the translator speaks of.
func (c *compiled) validate(t translator) []Problem {
	value, err := Value(t.root)
	if err != nil {
		return []Problem{at(t.root, "%v", err)}
	}
	err = c.schema.Validate(value)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return []Problem{at(t.root, "%v", err)}
	}
	t.source = c.source
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
		t := LookupNodeType(name)
		defs["inputs."+name] = inputsSchema(t)
		inputs := func(def string) map[string]any {
			return map[string]any{"properties": map[string]any{"inputs": map[string]any{"$ref": "#/$defs/" + def}}}
		}
		then := inputs("inputs." + name)
		if t.NoBatch == "" {
			defs["batch."+name] = batchInputsSchema(t)
			then = map[string]any{"if": has("execution_mode", "batch"), "then": inputs("batch." + name), "else": then}
		}
		byType = append(byType, map[string]any{"if": has("type", name), "then": then})
	}
	node["properties"].(map[string]any)["type"].(map[string]any)["examples"] = types
	node["allOf"] = byType
	return indent(source)
}

// has is the condition that a key has a value.
func has(key, value string) map[string]any {
	return map[string]any{"properties": map[string]any{key: map[string]any{"const": value}}, "required": []any{key}}
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
