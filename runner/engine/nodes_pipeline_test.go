package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// loadPipeline reads the nodes of a pipeline beside files of other pipelines.
func loadPipeline(t testing.TB, nodes string, files map[string]string) (*spec.Pipeline, string) {
	t.Helper()
	dir := t.TempDir()
	put := func(name, head, nodes, indent string) {
		var text strings.Builder
		text.WriteString(head)
		for line := range strings.Lines(strings.Trim(nodes, "\n")) {
			text.WriteString(indent + strings.TrimLeft(line, "\t"))
		}
		text.WriteString("\n")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, nodes := range files {
		put(name, "name: "+strings.TrimSuffix(name, ".yaml")+"\nnodes:\n", nodes, "  ")
	}
	put("batch.yaml", "version: 1\nbatches: {b: {from: \"-\"}}\npipeline:\n  name: main\n  nodes:\n", nodes, "    ")
	file, problems := spec.Load(filepath.Join(dir, "batch.yaml"), spec.Options{Env: func(string) (string, bool) { return "", false }})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatalf("the batch file of the test is wrong:\n%v", errs)
	}
	return file.Pipeline, dir
}

func saveFiles(t testing.TB, e *Engine, nodes string, files map[string]string) (id string) {
	t.Helper()
	p, _ := loadPipeline(t, nodes, files)
	saved, err := e.Save(t.Context(), p, runner.SaveOptions{})
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	return saved.PipelineID
}

// useSub is a pipeline that runs another one on its input.
const useSub = `
	in: {type: input}
	sub: {type: pipeline, inputs: {pipeline: {file: sub.yaml}, q: "{{ in.text }}"}}
	out: {type: output, inputs: {value: "{{ sub.a }}"}}
`

// askSub asks two models at once, and one about their answers.
const askSub = `
	q: {type: input}
	left: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "left {{ q.text }}"}}
	right: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "right {{ q.text }}"}}
	both: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: "{{ left.response }} {{ right.response }}"}}
	a: {type: output, inputs: {value: "{{ both.response }}"}}
`

// A run is suspended with what runs in it, and goes on there: nothing is asked, nor
// paid, twice.
func TestSuspendedInside(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, nodes, in, want string
		files                 map[string]string
		requests              int
	}{
		{"one", useSub, "x", `{"out":"<<left x> <right x>>"}`, map[string]string{"sub.yaml": askSub}, 3},
		{"one in another", useSub, "x", `{"out":"<<left x!> <right x!>>"}`, map[string]string{"ask.yaml": askSub, "sub.yaml": `
			q: {type: input}
			ask: {type: pipeline, inputs: {pipeline: {file: ask.yaml}, q: "{{ q.text }}!"}}
			a: {type: output, inputs: {value: "{{ ask.a }}"}}
		`}, 3},
		{"each of a list", `
			in: {type: input}
			words: {type: split_text, inputs: {text: "{{ in.text }}"}}
			sub: {type: pipeline, execution_mode: batch, inputs: {pipeline: {file: sub.yaml}, q: "{{ words.processed_text }}"}}
			out: {type: output, inputs: {output_type: json, value: "{{ sub.a }}"}}
		`, "x y z", `{"out":["<<left x> <right x>>","<<left y> <right y>>","<<left z> <right z>>"]}`, map[string]string{"sub.yaml": askSub}, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var n calls
			m := newModel(t, func(_ int, q question) reply {
				prompt := q.says("user")
				if n.add(prompt); n.count1(prompt) == 1 {
					return reply{status: 429}
				}
				return reply{text: "<" + prompt + ">"}
			})
			e := m.engine(t, Options{})
			h := start(t, e, saveFiles(t, e, c.nodes, c.files), runner.Inputs{"in": c.in})
			status := wait(t, e, h)
			at, ok := errors.AsType[*runner.RunError](status.Suspended.Errs[0])
			if !ok || at.Node != "sub" || at.Type != "pipeline" || len(status.Suspended.Errs) != 1 {
				t.Errorf("suspended by %v", status.Suspended.Errs)
			}
			for range 20 {
				if status.Suspended == nil {
					break
				}
				status = resume(t, e, h)
			}
			same(t, "outputs", asJSON(status.Outputs), c.want)
			same(t, "usage", status.Usage.OutputTokens, int64(5*c.requests))
			same(t, "requests", len(m.questions()), 2*c.requests)
			for prompt, times := range n.of {
				same(t, prompt, times, 2)
			}
		})
	}
}

// What fails inside says where.
func TestFailureInside(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	id := saveFiles(t, e, useSub, map[string]string{"sub.yaml": `
		q: {type: input}
		inner: {type: pipeline, inputs: {pipeline: {file: inner.yaml}, i: "{{ q.text }}"}}
		a: {type: output, inputs: {value: "{{ inner.o }}"}}
	`, "inner.yaml": `
		i: {type: input}
		item: {type: get_list_item, inputs: {list: [a, b], index: "{{ i.text }}"}}
		o: {type: output, inputs: {value: "{{ item.output }}"}}
	`})
	status := wait(t, e, start(t, e, id, runner.Inputs{"in": "7"}))
	checkError(t, status.Err, `node sub (pipeline): node inner (pipeline): node item (get_list_item): input "index": 7 is outside of a list of 2`)
	failure, _ := errors.AsType[*runner.RunError](status.Err)
	if failure == nil || failure.Node != "sub" {
		t.Errorf("%#v is no error of the node sub", status.Err)
	}
	same(t, "outputs", asJSON(wait(t, e, start(t, e, id, runner.Inputs{"in": "1"})).Outputs), `{"out":"b"}`)
}

// A pipeline may run itself by its name, as deep as a condition lets it.
func TestRecursion(t *testing.T) {
	t.Parallel()
	nodes := func(limit int) string {
		return fmt.Sprintf(`
			n: {type: input}
			c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ n.text }}", %d]]}]}}
			again: {type: pipeline, inputs: {pipeline: {name: NAME}, n: "{{ n.text }}x", dependencies: ["{{ c.path_0 }}"]}}
			last: {type: text, inputs: {text: "{{ n.text }}", dependencies: ["{{ c.path_else }}"]}}
			m: {type: merge, inputs: {fields: ["{{ again.out }}", "{{ last.text }}"]}}
			out: {type: output, inputs: {value: "<{{ m.output }}>"}}
		`, limit)
	}
	deep := strings.Repeat("x", spec.MaxSubDepth)
	for _, c := range []struct {
		name  string
		limit int
		want  string
		err   string
	}{
		{"three deep", 3, `{"out":"<<<<xxx>>>>"}`, ""},
		{"as deep as may be", spec.MaxSubDepth, `{"out":"` + strings.Repeat("<", 1+spec.MaxSubDepth) + deep + strings.Repeat(">", 1+spec.MaxSubDepth) + `"}`, ""},
		{"too deep", spec.MaxSubDepth + 1, "", strings.Repeat("node again (pipeline): ", 1+spec.MaxSubDepth) + "pipelines run one another more than 10 deep; a condition must stop that"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := New(Options{})
			id := saveFiles(t, e, strings.Replace(nodes(c.limit), "NAME", "main", 1), nil)
			for range 3 { // no end of a run hinders the next
				status := wait(t, e, start(t, e, id, runner.Inputs{"n": ""}))
				if c.err != "" {
					checkError(t, status.Err, c.err)
				} else {
					same(t, "outputs", asJSON(status.Outputs), c.want)
				}
			}
		})
	}
	t.Run("a file that names itself, and what it stands in", func(t *testing.T) {
		t.Parallel()
		for name, want := range map[string]string{"sub": `{"out":"<<<xx>>>"}`, "main": `{"out":"<<<xx>>>"}`} {
			e := New(Options{})
			id := saveFiles(t, e, `
				n: {type: input}
				sub: {type: pipeline, inputs: {pipeline: {file: sub.yaml}, n: "{{ n.text }}"}}
				out: {type: output, inputs: {value: "{{ sub.out }}"}}
			`, map[string]string{"sub.yaml": strings.Replace(nodes(2), "NAME", name, 1)})
			same(t, name, asJSON(wait(t, e, start(t, e, id, runner.Inputs{"n": ""})).Outputs), want)
		}
	})
	t.Run("with overrides, which are then those of all", func(t *testing.T) {
		t.Parallel()
		e := New(Options{})
		id := saveFiles(t, e, strings.Replace(nodes(2), "NAME", "main", 1), nil)
		h, err := e.Start(t.Context(), id, runner.Inputs{"n": ""}, runner.StartOptions{NodeInputOverrides: map[string]any{"out.value": "({{ m.output }})"}})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "outputs", asJSON(wait(t, e, h).Outputs), `{"out":"(((xx)))"}`)
	})
}

// A pipeline that this engine has is run as it is when it is run.
func TestSavedSubPipeline(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	sub := parsePipeline(t, `
		q: {type: input, inputs: {input_type: int32}}
		a: {type: output, inputs: {value: "one {{ q.value }}"}}
	`)
	sub.Name = "other"
	saved, err := e.Save(t.Context(), sub, runner.SaveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"{name: other}", "other", "{id: " + saved.PipelineID + "}", "{object_id: " + saved.PipelineID + ", object_type: 0}"} {
		id := save(t, e, strings.Replace(useSub, "{file: sub.yaml}", ref, 1))
		same(t, ref, asJSON(wait(t, e, start(t, e, id, runner.Inputs{"in": "7"})).Outputs), `{"out":"one 7"}`)
		checkError(t, wait(t, e, start(t, e, id, runner.Inputs{"in": "x"})).Err, `node sub (pipeline): pipeline other: input "q": "x" is not a number`)
		h, err := e.Start(t.Context(), id, runner.Inputs{"in": "7"}, runner.StartOptions{NodeInputOverrides: map[string]any{"sub.q": "77"}})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "overridden", asJSON(wait(t, e, h).Outputs), `{"out":"one 77"}`)
	}
	id := save(t, e, strings.Replace(useSub, "{file: sub.yaml}", "other", 1))
	sub.Node("a").Inputs["value"] = "two {{ q.value }}"
	if _, err := e.Save(t.Context(), sub, runner.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	same(t, "saved anew", asJSON(wait(t, e, start(t, e, id, runner.Inputs{"in": "7"})).Outputs), `{"out":"two 7"}`)

	for nodes, want := range map[string]string{
		"sub: {type: pipeline, inputs: {pipeline: other}}":             `node sub (pipeline): pipeline other: input "q" is missing`,
		"sub: {type: pipeline, inputs: {pipeline: other, q: 1, r: 2}}": `node sub (pipeline): pipeline other: the pipeline has no input "r"`,
		"sub: {type: pipeline, inputs: {pipeline: other, q: 1}}\n" +
			"\t\to: {type: output, inputs: {value: \"{{ sub.b }}\"}}": `node sub (pipeline): pipeline other has no output "b"`,
	} {
		status := wait(t, e, start(t, e, save(t, e, nodes), nil))
		checkError(t, status.Err, want)
	}
	list := save(t, e, `
		sub: {type: pipeline, execution_mode: batch, inputs: {pipeline: other, q: [1, 2]}}
		out: {type: output, inputs: {output_type: json, value: "{{ sub.a }}"}}
	`)
	same(t, "each of a list", asJSON(wait(t, e, start(t, e, list, nil)).Outputs), `{"out":["two 1","two 2"]}`)

	sub.Node("q").Inputs["input_type"] = "vec<string>"
	if _, err := e.Save(t.Context(), sub, runner.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	one := save(t, e, `
		in: {type: input, inputs: {input_type: vec<string>}}
		sub: {type: pipeline, execution_mode: batch, inputs: {pipeline: other, q: "{{ in.value }}"}}
		out: {type: output, inputs: {output_type: json, value: "{{ sub.a }}"}}
	`)
	same(t, "a list that it takes", asJSON(wait(t, e, start(t, e, one, runner.Inputs{"in": []any{"x", "y"}})).Outputs), `{"out":["two [\"x\",\"y\"]"]}`)
}

func TestUnknownSubPipeline(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"{name: nobody}": `6:46: node sub: pipeline nobody is not on this machine; fetch it with nightshift pull --name nobody > sub.yaml, and name it by its file: pipeline: {file: sub.yaml}`,
		"{id: 66f1}":     `6:46: node sub: pipeline 66f1 is not on this machine; fetch it with nightshift pull --id 66f1 > sub.yaml, and name it by its file: pipeline: {file: sub.yaml}`,
	} {
		problems := New(Options{}).Check(parsePipeline(t, strings.Replace(useSub, "{file: sub.yaml}", ref, 1)))
		if len(problems) != 1 || fmt.Sprintf("%d:%d: %s", problems[0].Line, problems[0].Col, problems[0].Message) != want {
			t.Errorf("%v\nwant: %s", problems, want)
		}
	}
}

// What cannot be run inside, and what it needs, is told at its place in its file, once.
func TestChecksInside(t *testing.T) {
	t.Parallel()
	e := New(Options{Env: func(string) (string, bool) { return "", false }})
	twice := useSub + `
	more: {type: pipeline, inputs: {pipeline: {file: sub.yaml}, q: "{{ sub.a }}"}}
	o: {type: output, inputs: {value: "{{ more.a }}"}}
	`
	p, dir := loadPipeline(t, twice, map[string]string{"sub.yaml": strings.Replace(askSub, "gpt-4o", "foo", 1)})
	needs := e.Needs(p)
	if len(needs.Missing) != 3 || needs.Missing[0].File != filepath.Join(dir, "sub.yaml") || needs.Missing[0].Line != 4 || len(needs.Unpriced) != 1 || !needs.Models {
		t.Errorf("needs %+v", needs)
	}
	p, dir = loadPipeline(t, twice, map[string]string{"sub.yaml": `
		q: {type: input}
		f: {type: rss_feed_reader, inputs: {url: "{{ q.text }}"}}
		a: {type: output, inputs: {value: "{{ f.complete }}"}}
	`})
	problems := e.Check(p)
	want := `node type "rss_feed_reader" is not run on this machine: fetch the feed with an api node, and take its entries apart with code_execution`
	if len(problems) != 1 || problems[0].File != filepath.Join(dir, "sub.yaml") || problems[0].Line != 4 || problems[0].Message != want {
		t.Errorf("%v", problems)
	}
}

// A text that a node has made is never taken for the path of a file, here neither.
func TestFilesIntoSubPipelines(t *testing.T) {
	t.Parallel()
	const sub = `
		f: {type: input, inputs: {input_type: file}}
		t: {type: file_to_text, inputs: {file: "{{ f.file }}"}}
		a: {type: output, inputs: {value: "{{ t.processed_text }}"}}
	`
	for _, c := range []struct{ name, file, want, err string }{
		{"a file that the author names", `{file: notes.txt}`, `{"out":"hello"}`, ""},
		{"by its path", `notes.txt`, `{"out":"hello"}`, ""},
		{"the file of another node", `"{{ made.file }}"`, `{"out":"notes.txt"}`, ""},
		{"a text of another node", `"{{ path.output }}"`, "", `node sub (pipeline): input "f": "notes.txt" is text, not a file: a path is read only where the batch file or an input of type file gives it, and text_to_file makes a file of text`},
		{"an object of another node", `"{{ object.o }}"`, "", `node sub (pipeline): input "f": "{\"file\":\"notes.txt\"}" is not a file; one is {type: file, raw_bytes: ..., metadata: ...}, or {file: path} where a run is given it`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, dir := loadPipeline(t, `
				in: {type: input}
				made: {type: text_to_file, inputs: {text: "{{ in.text }}", file_type: TXT, file_name: a.txt}}
				list: {type: create_list, inputs: {type: any, list: ["{{ in.text }}"]}}
				path: {type: get_list_item, inputs: {type: any, list: "{{ list.output }}", index: 0}}
				object: {type: read_json_values, inputs: {json_string: '{"o": {"file": "notes.txt"}}', keys: [o], processed_outputs: {o: any}}}
				sub: {type: pipeline, inputs: {pipeline: {file: sub.yaml}, f: `+c.file+`}}
				out: {type: output, inputs: {value: "{{ sub.a }}"}}
			`, map[string]string{"sub.yaml": sub})
			if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
			e := New(Options{Dir: dir})
			saved, err := e.Save(t.Context(), p, runner.SaveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			status := wait(t, e, start(t, e, saved.PipelineID, runner.Inputs{"in": "notes.txt"}))
			if c.err != "" {
				checkError(t, status.Err, c.err)
			} else if got := asJSON(status.Outputs); status.Err != nil || got != c.want {
				t.Errorf("%s, %v; want %s", got, status.Err, c.want)
			}
		})
	}
}

// The end of a run is that of what runs in it.
func TestTerminateInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		id := saveFiles(t, e, useSub, map[string]string{"sub.yaml": `
			q: {type: input}
			w: {type: wait_node, inputs: {wait_time: 3600, wait_time_type: seconds}}
			a: {type: output, inputs: {value: "{{ q.text }}", dependencies: ["{{ w.complete }}"]}}
		`})
		h := start(t, e, id, runner.Inputs{"in": "x"})
		time.Sleep(time.Minute)
		began := time.Now()
		if err := e.Terminate(t.Context(), h); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		status, err := e.Status(t.Context(), h)
		if err != nil || status.State != runner.Cancelled {
			t.Errorf("%+v, %v; want cancelled", status, err)
		}
	})
}

func TestPanicInside(t *testing.T) {
	t.Parallel()
	var l log
	e := New(Options{Log: l.add})
	sub := parsePipeline(t, `
		q: {type: input}
		t: {type: text, inputs: {text: "{{ q.text }}"}}
		a: {type: output, inputs: {value: "{{ t.text }}"}}
	`)
	sub.Name = "other"
	saved, err := e.Save(t.Context(), sub, runner.SaveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inject(e, saved.PipelineID, "t", func(*call) error { panic("boom") })
	id := save(t, e, strings.Replace(useSub, "{file: sub.yaml}", "other", 1))
	status := wait(t, e, start(t, e, id, runner.Inputs{"in": "x"}))
	message := regexp.MustCompile(`\(in [^)]*\)`).ReplaceAllString(fmt.Sprint(status.Err), "(in ...)")
	same(t, "error", message, "node sub (pipeline): node t (text): panicked: boom (in ...); please report it")
	if len(l.lines) != 1 || !strings.HasPrefix(l.lines[0], "node t (text) panicked: boom") {
		t.Errorf("log %q", l.lines)
	}
}
