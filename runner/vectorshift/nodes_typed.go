package vectorshift

import (
	"maps"
	"reflect"
)

// Fields that are left out take the platform's defaults. Texts, and values of type any,
// may hold references to other nodes: see [Node.Out].

// Input is an input of a run, named by its node.
type Input struct {
	Type        string // string, int32, file, ...; "": string
	Default     any    // for runs that do not give a value; nil: they must
	Description string
}

func (i Input) node() Raw {
	in := settings{"input_type": "string"}
	in.put("input_type", i.Type)
	in.put("description", i.Description)
	if i.Default != nil {
		in["use_default_value"], in["default_value"] = true, i.Default
	}
	return Raw{Type: "input", Inputs: in}
}

// Output is an output of a run, named by its node.
type Output struct {
	Type        string // string, stream<string>, json, ...; "": string
	Value       any
	Description string
}

func (o Output) node() Raw {
	in := settings{"output_type": "string", "value": o.Value}
	in.put("output_type", o.Type)
	in.put("description", o.Description)
	return Raw{Type: "output", Inputs: in}
}

// Text is text that other nodes use.
type Text struct{ Text string }

func (t Text) node() Raw { return Raw{Type: "text", Inputs: settings{"text": t.Text}} }

// LLM asks a language model. Its outputs are response, tokens_used and others.
type LLM struct {
	Provider, Model string
	Prompt, System  string
	Stream          bool
	JSONSchema      string // of the answer; "": it is text
	Temperature     *float64
	TopP            *float64
	MaxTokens       int

	APIKey            string // is sent where UsePersonalAPIKey is set, and kept by the platform
	UsePersonalAPIKey bool

	More map[string]any // other inputs, by their names
}

func (l LLM) node() Raw {
	in := settings{"provider": l.Provider}
	in.put("model", l.Model)
	in.put("prompt", l.Prompt)
	in.put("system", l.System)
	in.put("stream", l.Stream)
	in.put("json_response", l.JSONSchema != "")
	in.put("json_schema", l.JSONSchema)
	in.put("temperature", l.Temperature)
	in.put("top_p", l.TopP)
	in.put("max_tokens", l.MaxTokens)
	in.put("api_key", l.APIKey)
	in.put("use_personal_api_key", l.UsePersonalAPIKey)
	maps.Copy(in, l.More)
	return Raw{Type: "llm", Inputs: in}
}

// KeyValue is a header or a parameter of a request.
type KeyValue struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// API sends an HTTP request. Its output is output, the body of the answer.
type API struct {
	URL, Method string // Method "": GET
	Headers     []KeyValue
	Query       []KeyValue
	Body        []KeyValue // fields of a JSON object
	JSON        string     // the body as it is sent, in place of Body
	FailNon2xx  bool       // answers that are no success fail the node
}

func (a API) node() Raw {
	in := settings{"url": a.URL}
	in.put("method", a.Method)
	in.put("headers", a.Headers)
	in.put("query_params", a.Query)
	in.put("body_params", a.Body)
	in.put("is_raw_json", a.JSON != "")
	in.put("raw_json", a.JSON)
	in.put("fail_non_2xx_response", a.FailNon2xx)
	return Raw{Type: "api", Inputs: in}
}

// Clause is one test of a condition.
type Clause struct {
	Operator string `json:"operator"` // GREATER_THAN_EQUAL, GreaterThanEqual, "greater or equal", ...
	Input    any    `json:"input"`
	Key      string `json:"key,omitempty"` // field of an Input that is an object
	Value    any    `json:"value,omitempty"`
}

// ConditionGroup is the rule of one path of a condition.
type ConditionGroup struct {
	Clauses   []Clause `json:"clauses"`
	Operators []string `json:"operators,omitempty"` // AND or OR, between the clauses
}

// Condition activates the path of the first rule that is true: path_0, path_1 and so
// on, or path_else. See [Node.After].
type Condition struct{ Conditions []ConditionGroup }

func (c Condition) node() Raw {
	return Raw{Type: "condition", Inputs: settings{"conditions": c.Conditions}}
}

// Merge brings branches together again. Its output is output.
type Merge struct {
	Function string // first or join; "": first
	Type     string // of the fields; "": string
	Fields   []any
}

func (m Merge) node() Raw {
	in := settings{"fields": m.Fields}
	in.put("function", m.Function)
	in.put("type", m.Type)
	return Raw{Type: "merge", Inputs: in}
}

// Category is what a categorizer may choose.
type Category struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// Categorizer assigns text to a category. Its outputs are category and, where it is
// asked for, justification.
type Categorizer struct {
	Text            string
	Categories      []Category
	Provider, Model string
	Context         string // more for the model to go by
	Justification   bool
}

func (c Categorizer) node() Raw {
	in := settings{"text": c.Text, "fields": c.Categories, "provider": c.Provider}
	in.put("model", c.Model)
	in.put("additional_context", c.Context)
	in.put("justification", c.Justification)
	return Raw{Type: "categorizer", Inputs: in}
}

// Summarizer summarises text. Its output is summary.
type Summarizer struct{ Text, Provider, Model string }

func (s Summarizer) node() Raw {
	in := settings{"text": s.Text, "provider": s.Provider}
	in.put("model", s.Model)
	return Raw{Type: "summarizer", Inputs: in}
}

// settings are inputs as they are put together.
type settings map[string]any

// put sets an input, unless the value says nothing.
func (in settings) put(name string, v any) {
	if !reflect.ValueOf(v).IsZero() {
		in[name] = v
	}
}
