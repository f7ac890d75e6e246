package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// batchNodes is a node n in batch mode, and values that it may refer to: v has the
// members of the input as they are; s and t are lists of the words of the inputs.
func batchNodes(node string) string {
	return `
		given: {type: input}
		v: {type: read_json_values, inputs: {json_string: "{{ given.text }}", keys: [a, b, c], processed_outputs: {a: any, b: any, c: any}}}
		n: ` + strings.Replace(node, "{type:", "{execution_mode: batch, type:", 1) + `
		out: {type: output, inputs: {output_type: json, value: "{{ n.RESULT }}"}}
	`
}

func TestBatch(t *testing.T) {
	t.Parallel()
	const (
		text    = `{type: text, inputs: {text: "%s"}}`
		combine = `{type: combine_text, inputs: {text: %s}}`
	)
	for _, c := range []struct{ name, node, given, want, err string }{
		{"in order", fmt.Sprintf(text, "<{{ v.a }}>"), `"a": ["x", "y", "ä", ""]`, `["<x>","<y>","<ä>","<>"]`, ""},
		{"a reference by itself", fmt.Sprintf(text, "{{ v.a }}"), `"a": ["x", "y"]`, `["x","y"]`, ""},
		{"two references in a text", fmt.Sprintf(text, "{{ v.a }}-{{ v.b }}"), `"a": ["x", "y"], "b": [1, 2]`, `["x-1","y-2"]`, ""},
		{"a list of one is repeated", fmt.Sprintf(text, "{{ v.a }}-{{ v.b }}"), `"a": ["x", "y"], "b": [1]`, `["x-1","y-1"]`, ""},
		{"the other way round", fmt.Sprintf(text, "{{ v.a }}-{{ v.b }}"), `"a": ["x"], "b": [1, 2, 3]`, `["x-1","x-2","x-3"]`, ""},
		{"what is no list is repeated", fmt.Sprintf(text, "{{ v.a }}-{{ v.b }}"), `"a": "x", "b": [1, 2]`, `["x-1","x-2"]`, ""},
		{"no list at all", fmt.Sprintf(text, "{{ v.a }}"), `"a": "x"`, `["x"]`, ""},
		{"nothing to refer to", fmt.Sprintf(text, "x"), ``, `["x"]`, ""},
		{"an empty list", fmt.Sprintf(text, "{{ v.a }}-{{ v.b }}"), `"a": [], "b": "x"`, `[]`, ""},
		{"an empty list beside a list of one", fmt.Sprintf(text, "{{ v.a }}-{{ v.b }}"), `"a": ["x"], "b": []`, `[]`, ""},
		{"lists of lists give lists", fmt.Sprintf(text, "{{ v.a }}"), `"a": [["x"], []]`, `["[\"x\"]","[]"]`, ""},
		{"two inputs whose lists differ", `{type: text_formatter, inputs: {text: "{{ v.a }}", formatter: "{{ v.b }}"}}`, `"a": ["x", "y"], "b": ["Trim Spaces", "Trim Spaces", "Trim Spaces"]`, "",
			`node n (text_formatter): execution_mode batch: input "formatter" has 3 elements, but "text" has 2; lists must be as long as each other, or have one element`},
		{"one of them empty", `{type: text_formatter, inputs: {text: "{{ v.a }}", formatter: "{{ v.b }}"}}`, `"a": ["x", "y"], "b": []`, "",
			`node n (text_formatter): execution_mode batch: input "formatter" has 0 elements, but "text" has 2; lists must be as long as each other, or have one element`},
		{"a written list", `{type: text_formatter, inputs: {text: "{{ v.a }}", formatter: [To Uppercase, To Lowercase]}}`, `"a": ["Xy", "Xy"]`, `["XY","xy"]`, ""},
		{"a written list with references", `{type: text, inputs: {text: ["{{ v.a }}", "<{{ v.b }}>", "z"]}}`, `"a": "x", "b": 1`, `["x","<1>","z"]`, ""},
		{"an empty written list", `{type: text, inputs: {text: []}}`, ``, `[]`, ""},
		{"references in a list that the node takes", fmt.Sprintf(combine, `["{{ v.a }}", "+", "{{ v.b }}"]`), `"a": ["x", "y"], "b": [1, 2]`, `["x+1","y+2"]`, ""},
		{"a list for a node that takes lists", fmt.Sprintf(combine, `"{{ v.a }}"`), `"a": ["x", "y"]`, `["xy"]`, ""},
		{"lists for a node that takes lists", fmt.Sprintf(combine, `"{{ v.a }}"`), `"a": [["x", "y"], [], ["z"]]`, `["xy","","z"]`, ""},
		{"lists of lists for it", `{type: get_list_item, inputs: {list: "{{ v.a }}", index: 0}}`, `"a": [[["x"], "y"], ["z"]]`, `[["x"],"z"]`, ""},
		{"an empty list for a node that takes lists", fmt.Sprintf(combine, `"{{ v.a }}"`), `"a": []`, `[""]`, ""},
		{"written lists for a node that takes lists", fmt.Sprintf(combine, `[["{{ v.a }}", "b"], ["c"], []]`), `"a": "x"`, `["xb","c",""]`, ""},
		{"written lists and a reference", fmt.Sprintf(combine, `[["a", "b"], "{{ v.a }}"]`), `"a": ["x", "y"]`, `["ab","xy"]`, ""},
		{"an element that fails", `{type: get_list_item, inputs: {list: [a, b], index: "{{ v.a }}"}}`, `"a": [0, 2, 1]`, "",
			`node n (get_list_item): element 1: input "index": 2 is outside of a list of 2`},
		{"numbers keep their digits", `{type: get_list_item, inputs: {list: "{{ v.a }}", index: -1}}`, `"a": [[12345678901234567890], [null]]`, `[12345678901234567890,null]`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			typ, _, _ := strings.Cut(strings.TrimPrefix(c.node, "{type: "), ",")
			output := map[string]string{"text": "text", "combine_text": "processed_text"}[typ]
			if output == "" {
				output = "output"
			}
			outputs, err := runNodes(t, strings.Replace(batchNodes(c.node), "RESULT", output, 1), runner.Inputs{"given": "{" + c.given + "}"})
			if c.err != "" {
				checkError(t, err, c.err)
			} else if got, want := asJSON(outputs), `{"out":`+c.want+`}`; err != nil || got != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		})
	}
}

// Where the types are known, a list is not one more level than it is said to be.
func TestBatchOfKnownTypes(t *testing.T) {
	t.Parallel()
	outputs, err := runNodes(t, `
		in: {type: input}
		words: {type: split_text, inputs: {text: "{{ in.text }}"}}
		lists: {type: split_text, execution_mode: batch, inputs: {text: "{{ words.processed_text }}", delimiter: character(s), character: "-"}}
		one: {type: combine_text, execution_mode: batch, inputs: {text: "{{ words.processed_text }}"}}
		each: {type: combine_text, execution_mode: batch, inputs: {text: "{{ lists.processed_text }}"}}
		again: {type: text, execution_mode: batch, inputs: {text: "{{ each.processed_text }}, {{ words.processed_text }} of {{ in.text }}"}}
		o1: {type: output, inputs: {value: "{{ lists.processed_text }}"}}
		o2: {type: output, inputs: {value: "{{ one.processed_text }}"}}
		o3: {type: output, inputs: {value: "{{ again.text }}"}}
	`, runner.Inputs{"in": "a-b c"})
	if want := `{"o1":"[[\"a\",\"b\"],[\"c\"]]","o2":"[\"a-bc\"]","o3":"[\"ab, a-b of a-b c\",\"c, c of a-b c\"]"}`; err != nil || asJSON(outputs) != want {
		t.Errorf("%s, %v; want %s", asJSON(outputs), err, want)
	}
}

// Code is given one element each, whatever it takes.
func TestBatchOfCode(t *testing.T) {
	t.Parallel()
	outputs, err := runNodes(t, `
		in: {type: input}
		words: {type: split_text, inputs: {text: "{{ in.text }}"}}
		n:
		  type: code_execution
		  execution_mode: batch
		  inputs: {language: javascript, code: "len = w.length; all = w + x", input_schema: [{name: w, type: string, value: "{{ words.processed_text }}"}, {name: x, type: string, value: "!"}], output_schema: [{name: len, type: int32}, {name: all, type: string}]}
		lens: {type: output, inputs: {output_type: json, value: "{{ n.len }}"}}
		all: {type: output, inputs: {output_type: json, value: "{{ n.all }}"}}
	`, runner.Inputs{"in": "a bcd ef"})
	if want := `{"all":["a!","bcd!","ef!"],"lens":[1,3,2]}`; err != nil || asJSON(outputs) != want {
		t.Errorf("%s, %v; want %s", asJSON(outputs), err, want)
	}
}

// askEach asks a model about each word.
const askEach = `
	in: {type: input}
	words: {type: split_text, inputs: {text: "{{ in.text }}"}}
	n: {type: llm, execution_mode: batch, inputs: {provider: openai, model: gpt-4o, prompt: "{{ words.processed_text }}"}}
	out: {type: output, inputs: {output_type: json, value: "{{ n.response }}"}}
	used: {type: output, inputs: {output_type: json, value: "{{ n.tokens_used }}"}}
`

func numbered(n int) (words, answers string) {
	var ask, got []string
	for i := range n {
		ask, got = append(ask, fmt.Sprintf("w%d", i)), append(got, fmt.Sprintf(`"Aw%d"`, i))
	}
	return strings.Join(ask, " "), "[" + strings.Join(got, ",") + "]"
}

// What some elements were refused is asked again; what the others were answered is
// neither asked nor paid again.
func TestRefusedElements(t *testing.T) {
	t.Parallel()
	var n calls
	m := newModel(t, func(_ int, q question) reply {
		word := q.says("user")
		n.add(word)
		if n.count1(word) == 1 && (word == "w3" || word == "w17") {
			return reply{status: 429}
		}
		return reply{text: "A" + word}
	})
	e := m.engine(t, Options{})
	words, answers := numbered(30)
	h := start(t, e, save(t, e, askEach), runner.Inputs{"in": words})
	status := wait(t, e, h)
	if status.Suspended == nil || status.Usage.OutputTokens != 28*5 {
		t.Fatalf("status %+v, usage %+v; want suspended, and 28 answers", status, status.Usage)
	}
	status = resume(t, e, h)
	same(t, "error", status.Err, nil)
	same(t, "answers", jsonText(status.Outputs["out"]), answers)
	same(t, "counts", jsonText(status.Outputs["used"]), "["+strings.TrimSuffix(strings.Repeat("15,", 30), ",")+"]")
	same(t, "usage", status.Usage.OutputTokens, int64(30*5))
	same(t, "requests", len(m.questions()), 32)
}

func (n *calls) count1(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[name]
}

func jsonText(v any) string { return string(spec.AppendJSON(nil, v)) }

// An element that fails ends the others, and is named.
func TestFailedElement(t *testing.T) {
	t.Parallel()
	m := newModel(t, func(_ int, q question) reply {
		if q.says("user") == "w9" {
			return reply{status: 401}
		}
		return reply{text: "A"}
	})
	e := m.engine(t, Options{})
	words, _ := numbered(500)
	status := wait(t, e, start(t, e, save(t, e, askEach), runner.Inputs{"in": words}))
	if status.Err == nil || !strings.HasPrefix(status.Err.Error(), "node n (llm): element 9: ") {
		t.Errorf("error %v", status.Err)
	}
	if n := len(m.questions()); n > 100 {
		t.Errorf("%d requests were made", n)
	}
}

// A run has 8 calls of a node under way, two runs 16: concurrency counts runs.
func TestElementsAtOnce(t *testing.T) {
	t.Parallel()
	for runs, want := range map[int]int64{1: atOnce, 2: 2 * atOnce} {
		for _, typ := range []string{"llm", "api"} {
			var now, most atomic.Int64
			full := make(chan struct{}) // closed when as many as may be are under way
			once := sync.OnceFunc(func() { close(full) })
			gate := func() {
				n := now.Add(1)
				defer now.Add(-1)
				for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
				}
				if n == want {
					once()
				}
				select {
				case <-full:
				case <-time.After(10 * time.Second):
				}
			}
			var e *Engine
			nodes := askEach
			if typ == "llm" {
				e = newModel(t, func(int, question) reply { gate(); return reply{text: "A"} }).engine(t, Options{})
			} else {
				host := serve(t, func(http.ResponseWriter, *http.Request) { gate() })
				e = New(Options{AllowPrivateNetwork: true})
				nodes = strings.NewReplacer("type: llm", "type: api", "provider: openai, model: gpt-4o, prompt: ", "url: ", `"{{ words`, `"http://`+host+`/{{ words`, "n.response", "n.output", "n.tokens_used", "n.output").Replace(askEach)
			}
			id := save(t, e, nodes)
			words, _ := numbered(40)
			var handles []runner.Handle
			for range runs {
				handles = append(handles, start(t, e, id, runner.Inputs{"in": words}))
			}
			for _, h := range handles {
				if status := wait(t, e, h); status.Err != nil {
					t.Errorf("%s: %v", typ, status.Err)
				}
			}
			same(t, fmt.Sprintf("%s, %d runs: most requests under way", typ, runs), most.Load(), want)
			e.http.CloseIdleConnections()
		}
	}
}

// Elements that wait do so at once, eight at a time; their end is heard of at once.
func TestElementsThatWait(t *testing.T) {
	nodes := batchNodes(`{type: wait_node, inputs: {wait_time: "{{ v.a }}", wait_time_type: seconds}}`)
	nodes = strings.Replace(nodes, `value: "{{ n.RESULT }}"`, `value: "1", dependencies: ["{{ n.complete }}"]`, 1)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := runNodes(t, nodes, runner.Inputs{"given": `{"a": [60, 60, 60, 60, 60, 60, 60, 60, 60]}`})
		if took := time.Since(began); err != nil || took != 2*time.Minute {
			t.Errorf("%v after %v; want 2m", err, took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		h := start(t, e, save(t, e, nodes), runner.Inputs{"given": `{"a": [60, 3600]}`})
		time.Sleep(5 * time.Minute)
		began := time.Now()
		if err := e.Terminate(t.Context(), h); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if status, err := e.Status(t.Context(), h); err != nil || status.State != runner.Cancelled {
			t.Errorf("%+v, %v; want cancelled", status, err)
		}
	})
}

// A run of many elements that do not wait can be cancelled between them.
func TestCancelBetweenElements(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	id := save(t, e, `n: {type: text, inputs: {text: x}}`)
	made := 0
	inject(e, id, "n", func(c *call) error {
		return inTurn(c, 1000, func(*call, int) error {
			if made++; made == 10 {
				c.run.cancel()
			}
			return nil
		})
	})
	same(t, "state", wait(t, e, start(t, e, id, nil)).State, runner.Cancelled)
	same(t, "elements", made, 10)
}

// The pieces of many answers at once make no text; the list is told at the end.
func TestPiecesOfElements(t *testing.T) {
	t.Parallel()
	m := newModel(t, func(_ int, q question) reply { return reply{pieces: []string{"A", q.says("user")}} })
	e := m.engine(t, Options{})
	id := save(t, e, strings.Replace(askEach, "model: gpt-4o", "model: gpt-4o, stream: true", 1))
	told := map[string]any{}
	_, _, err := e.Stream(t.Context(), id, runner.Inputs{"in": "a b"}, runner.StartOptions{}, func(c runner.Chunk) {
		if c.Piece {
			t.Errorf("told a piece: %+v", c)
		}
		told[c.Output] = c.Value
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "response", told["n.response"], any([]any{"Aa", "Ab"}))
	same(t, "tokens", told["n.tokens_used"], any([]any{json.Number("15"), json.Number("15")}))
}

// manyElements is a node that works on each of a list of texts.
const manyElements = `
	in: {type: input, inputs: {input_type: vec<string>}}
	n: {type: text, execution_mode: batch, inputs: {text: "<{{ in.value }}>"}}
	l: {type: get_list_item, inputs: {list: "{{ n.text }}", index: -1}}
	out: {type: output, inputs: {value: "{{ l.output }}"}}
`

func manyInputs(n int) runner.Inputs {
	list := make([]any, n)
	for i := range list {
		list[i] = fmt.Sprint(i)
	}
	return runner.Inputs{"in": list}
}

func TestManyElements(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	status := wait(t, e, start(t, e, save(t, e, manyElements), manyInputs(10_000)))
	same(t, "last", status.Outputs["out"], any("<9999>"))
}

// BenchmarkBatch is a run with 10,000 elements, which must take 50 ms at most.
func BenchmarkBatch(b *testing.B) {
	e := New(Options{})
	id := save(b, e, manyElements)
	in := manyInputs(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if status, err := e.Wait(b.Context(), start(b, e, id, in)); err != nil || status.Outputs["out"] != "<9999>" {
			b.Fatal(status, err)
		}
	}
}

// What a batch works on is what it began with, also when the run is suspended and a
// variable that it reads becomes another list.
func TestListThatChangesWhileSuspended(t *testing.T) {
	t.Parallel()
	for later, words := range map[string]string{"longer": "p q r s", "shorter": "p"} {
		t.Run(later, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{})
			once := sync.OnceFunc(func() { close(asked) })
			m := newModel(t, func(n int, q question) reply {
				if n < 2 {
					once()
					return reply{status: 429}
				}
				return reply{text: "<" + q.says("user") + ">"}
			})
			e := m.engine(t, Options{})
			id := saveText(t, e, `
  name: p
  variables: {words: [a, b]}
  nodes:
    in: {type: input}
    l: {type: split_text, inputs: {text: "{{ in.text }}"}}
    n: {type: llm, execution_mode: batch, inputs: {provider: openai, model: gpt-4o, prompt: "{{ words }}"}}
    w: {type: wait_node, inputs: {wait_time: 1, wait_time_type: nanos}}
    set: {type: set_variable, inputs: {variable_id: words, value: "{{ l.processed_text }}", dependencies: ["{{ w.complete }}"]}}
    out: {type: output, inputs: {output_type: json, value: "{{ n.response }}"}}
`)
			inject(e, id, "w", func(*call) error { <-asked; return nil })
			h := start(t, e, id, runner.Inputs{"in": words})
			status := wait(t, e, h)
			if status.Suspended == nil {
				t.Fatalf("status %+v", status)
			}
			for status.Suspended != nil {
				status = resume(t, e, h)
			}
			same(t, "error", status.Err, nil)
			same(t, "answers", jsonText(status.Outputs["out"]), `["<a>","<b>"]`)
		})
	}
}

// Of what a batch gives, that is kept which somebody asks for.
func TestOutputsNobodyAsksFor(t *testing.T) {
	t.Parallel()
	e := newModel(t, always("A")).engine(t, Options{})
	id := save(t, e, askEach)
	n := nodeOf(e, id, "n")
	var own []any
	work := n.step
	inject(e, id, "n", func(c *call) error {
		err := work(c)
		own = c.own
		return err
	})
	status := wait(t, e, start(t, e, id, runner.Inputs{"in": "a b"}))
	same(t, "outputs", asJSON(status.Outputs), `{"out":["A","A"],"used":[15,15]}`)
	there := 0
	for _, v := range own {
		if _, list := v.([]any); list {
			there++
		}
	}
	same(t, "lists", there, 2)
}
