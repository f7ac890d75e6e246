package engine

import (
	"testing"

	"nightshift/runner"
)

func TestCategorizer(t *testing.T) {
	t.Parallel()
	const two = `text: "{{ v.a }}", fields: [{name: Billing, description: "{{ v.b }}"}, other]` + onModel
	testAI(t, "categorizer", "category", []aiCase{
		{name: "usual", node: two, given: `{"a": "my bill", "b": "money matters"}`, answer: `{"category": "Billing"}`, want: `"Billing"`,
			asks: func(t *testing.T, q question) {
				same(t, "prompt", q.says("user"), "<text>\nmy bill\n</text>")
				same(t, "system", q.says("system"), categorize+"\n- Billing: money matters\n- other\n\n"+categoryAnswer+"\n\n"+dataIsData)
				same(t, "schema", string(q.ResponseFormat.JSONSchema.Schema),
					`{"type":"object","properties":{"category":{"enum":["Billing","other"],"type":"string"}},"required":["category"],"additionalProperties":false}`)
				same(t, "strict", q.ResponseFormat.JSONSchema.Strict, true)
			}},
		{name: "options", node: `text: x, fields: [a], additional_context: "Think.", justification: true` + onModel, answer: `{"justification": "J", "category": "a"}`, want: `"a"`,
			asks: func(t *testing.T, q question) {
				same(t, "system", q.says("system"), categorize+"\n- a\n\nMind this too:\nThink.\n\n"+categoryAnswer+"\n\n"+justify+"\n\n"+dataIsData)
				same(t, "schema", string(q.ResponseFormat.JSONSchema.Schema),
					`{"type":"object","properties":{"justification":{"type":"string"},"category":{"enum":["a"],"type":"string"}},"required":["justification","category"],"additionalProperties":false}`)
			}},
		{name: "justification", node: `text: x, fields: [a], justification: true` + onModel, answer: `{"category": "a", "justification": "J"}`, out: "justification", want: `"J"`},
		{name: "tokens", node: `text: x, fields: [a]` + onModel, answer: `{"category": "a"}`, out: "tokens_used", want: `15`},
		{name: "fenced", node: `text: x, fields: [a, b]` + onModel, answer: "```json\n{\"category\": \"b\"}\n```", want: `"b"`},
		{name: "other case and spaces", node: `text: x, fields: [Billing, b]` + onModel, answer: `{"Category": " bILLING "}`, want: `"Billing"`},
		{name: "names that differ in case only", node: `text: x, fields: [a, A]` + onModel, answer: `{"category": "A"}`, want: `"A"`},
		{name: "a number is a name", node: `text: x, fields: ["1", "2"]` + onModel, answer: `{"category": 2}`, want: `"2"`},
		{name: "categories of the run", node: `text: x, fields: "{{ v.a }}"` + onModel, given: `{"a": ["p", {"name": "q", "description": "Q"}]}`, answer: `{"category": "q"}`, want: `"q"`},
		{name: "categories of the run as text", node: `text: x, fields: "{{ v.a }}"` + onModel, given: `{"a": "[\"p\"]"}`, answer: `{"category": "p"}`, want: `"p"`},
		{name: "out of the list", node: `text: x, fields: [a, b]` + onModel, answer: `{"category": "c"}`, err: `its category is none of those given: "{\"category\": \"c\"}"`},
		{name: "none", node: `text: x, fields: [a, b]` + onModel, answer: `{}`, err: `its category is none of those given: "{}"`},
		{name: "not JSON", node: `text: x, fields: [a, b]` + onModel, answer: `a`, err: `it is no JSON object: "a"`},
		{name: "empty", node: `text: x, fields: [a, b]` + onModel, answer: ``, err: `there is no text in it`},
		{name: "no categories in the run", node: `text: x, fields: "{{ v.a }}"` + onModel, given: `{"a": []}`, err: `node n (categorizer): input "fields" names no categories`},
		{name: "no list in the run", node: `text: x, fields: "{{ v.a }}"` + onModel, given: `{"a": 5}`, err: `input "fields": "5" is not a list`},
		{name: "no name in the run", node: `text: x, fields: "{{ v.a }}"` + onModel, given: `{"a": [{"description": "D"}]}`, err: `input "fields": element 0 has no name`},
	})
	testRefused(t, "categorizer", []refusedCase{
		{"no categories", "text: x\nprovider: openai\nmodel: m\nfields: []", `12:17: node n (categorizer): input "fields" names no categories`},
		{"none given", "text: x\nprovider: openai\nmodel: m", `6:5: node n (categorizer): input "fields" names no categories`},
		{"twice", "text: x\nprovider: openai\nmodel: m\nfields: [a, {name: a}]", `12:17: node n (categorizer): input "fields": category "a" is there twice`},
		{"no name", "text: x\nprovider: openai\nmodel: m\nfields: [' ']", `12:17: node n (categorizer): input "fields": element 0 has no name`},
	})
}

// routed is a pipeline that says which of two paths was taken.
const routed = `
	in: {type: input}
	n: {type: ai_routing, inputs: {provider: openai, model: gpt-4o, input_query: "{{ in.text }}", %s}}
	zero: {type: output, inputs: {value: taken, dependencies: ["{{ n.path_0 }}"]}}
	one: {type: output, inputs: {value: taken, dependencies: ["{{ n.path_1 }}"]}}
`

func TestAIRouting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, inputs, answer, want string
		err                        string
		asks                       func(t *testing.T, q question)
	}{
		{name: "the first", answer: `{"path": "path_0"}`, want: `{"one":null,"zero":"taken"}`, asks: func(t *testing.T, q question) {
			same(t, "prompt", q.says("user"), "<message>\nhello\n</message>")
			same(t, "system", q.says("system"), route+"\n- path_0: greets\n- path_1: asks for hello\n\n"+pathAnswer+"\n\n"+dataIsData)
			same(t, "schema", string(q.ResponseFormat.JSONSchema.Schema),
				`{"type":"object","properties":{"path":{"enum":["path_0","path_1","none"],"type":"string"}},"required":["path"],"additionalProperties":false}`)
		}},
		{name: "the second", answer: `{"path": "path_1"}`, want: `{"one":"taken","zero":null}`},
		{name: "none", answer: `{"path": "none"}`, want: `{"one":null,"zero":null}`},
		{name: "fenced, other case", answer: "```\n{\"PATH\": \" Path_1\"}\n```", want: `{"one":"taken","zero":null}`},
		{name: "named in outputs", inputs: `, outputs: {path_0: path, path_1: path}`, answer: `{"path": "path_0"}`, want: `{"one":null,"zero":"taken"}`},
		{name: "memory", inputs: `, enable_shared_memory: true, shared_memory: "we know </memory> {{ in.text }}"`, answer: `{"path": "path_0"}`, want: `{"one":null,"zero":"taken"}`,
			asks: func(t *testing.T, q question) {
				same(t, "prompt", q.says("user"), "<memory2>\nwe know </memory> hello\n</memory2>\n\n<message>\nhello\n</message>")
			}},
		{name: "memory that is off", inputs: `, enable_shared_memory: false, shared_memory: M`, answer: `{"path": "path_0"}`, want: `{"one":null,"zero":"taken"}`,
			asks: func(t *testing.T, q question) { same(t, "prompt", q.says("user"), "<message>\nhello\n</message>") }},
		{name: "memory of nothing", inputs: `, enable_shared_memory: true`, answer: `{"path": "path_0"}`, want: `{"one":null,"zero":"taken"}`,
			asks: func(t *testing.T, q question) { same(t, "prompt", q.says("user"), "<message>\nhello\n</message>") }},
		{name: "options", inputs: `, sampling: {temperature: 0.1}`, answer: `{"path": "path_0"}`, want: `{"one":null,"zero":"taken"}`,
			asks: func(t *testing.T, q question) { same(t, "temperature", *q.Temperature, 0.1) }},
		{name: "no such path", answer: `{"path": "path_2"}`, err: `its path is none of those given: "{\"path\": \"path_2\"}"`},
		{name: "null", answer: `{"path": null}`, err: `its path is none of those given: "{\"path\": null}"`},
		{name: "not JSON", answer: `path_0`, err: `it is no JSON object: "path_0"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, always(c.answer))
			nodes := replace(routed, `conditions: [greets, "asks for {{ in.text }}"]`+c.inputs)
			status := runToEnd(t, m.engine(t, Options{}), nodes, runner.Inputs{"in": "hello"})
			if c.err != "" {
				wantSuffix(t, status.Err, c.err)
				return
			}
			if status.Err != nil {
				t.Fatal(status.Err)
			}
			same(t, "outputs", asJSON(status.Outputs), c.want)
			if c.asks != nil {
				c.asks(t, m.questions()[0])
			}
		})
	}
	m := newModel(t, always(`{"path": "path_0"}`))
	status := runToEnd(t, m.engine(t, Options{}), replace(routed, `conditions: ["{{ in.text }}", b]`), runner.Inputs{"in": "  "})
	checkError(t, status.Err, `node n (ai_routing): input "input_query" is empty`)
	same(t, "requests", len(m.questions()), 0)
}

func TestAIRoutingThatIsWrong(t *testing.T) {
	t.Parallel()
	const begin = "input_query: x\nprovider: openai\nmodel: m\n"
	testRefused(t, "ai_routing", []refusedCase{
		{"no conditions", begin + "conditions: []", `12:21: node n (ai_routing): input "conditions" describes no paths`},
		{"none given", begin + "top_p: 1", `6:5: node n (ai_routing): input "conditions" describes no paths`},
		{"an empty one", begin + "conditions: [a, '']", `12:21: conditions[1] is empty`},
		{"of the run", begin + "conditions: '{{ in.text }}'", `12:21: conditions must be written out: they decide which outputs the node has`},
		{"another name", begin + "conditions: [a, b]\noutputs: {path_0: path, path_3: path, path_else: path}",
			`13:18: outputs names "path_3", which belongs to no condition; the paths are path_0, path_1; did you mean "path_0"?` + "\n" +
				`13:18: outputs names "path_else", which belongs to no condition; the paths are path_0, path_1`},
	})
}
