package engine

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
	"nightshift/spec"
)

// noEnv is an environment without keys.
func noEnv(string) (string, bool) { return "", false }

// TestRehearsedNodes: all nodes that ask a model, or an address, come to what
// nodes of their type come to, without a key and without a connection.
func TestRehearsedNodes(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	called := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s is called", r.URL) })}
	go func() { _ = called.Serve(listener) }()
	defer called.Close()
	base := "http://" + listener.Addr().String()
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"OPENAI_BASE_URL": base, "ANTHROPIC_BASE_URL": base, "GOOGLE_GEMINI_BASE_URL": base}[name]
		return v, ok
	}
	for _, c := range []struct{ name, node, out, want string }{
		{"llm", `{type: llm, inputs: {provider: openai, model: m, prompt: "Why, {{ in.text }}?", max_tokens: 3}}`, "response", "Why, the sky"},
		{"llm, any JSON", `{type: llm, inputs: {provider: openai, model: m, prompt: "{{ in.text }}", json_response: true}}`, "response", `{"answer":"the sky the sky`},
		{"llm, a schema", `{type: llm, inputs: {provider: anthropic, model: m, prompt: "{{ in.text }}", json_response: true, json_schema: '{"type":"object","properties":{"n":{"const":7}},"required":["n"]}'}}`, "response", `{"n":7}`},
		{"summarizer", `{type: summarizer, inputs: {provider: openai, model: m, text: "{{ in.text }}"}}`, "summary", "<text> the sky </text>"},
		{"translator", `{type: translator, inputs: {provider: openai, model: m, text: "{{ in.text }}", source_language: English, target_language: German}}`, "translation", "<text> the sky"},
		{"categorizer", `{type: categorizer, inputs: {provider: openai, model: m, text: "{{ in.text }}", fields: [{name: air}], justification: true}}`, "category", "air"},
		{"scorer", `{type: scorer, inputs: {provider: openai, model: m, text: "{{ in.text }}", criteria: length}}`, "score", "5"},
		{"extract_data", `{type: extract_data, inputs: {provider: openai, model: m, text: "{{ in.text }}", fields: [{name: at, type: timestamp}, {name: n, type: int32}, {name: all, type: vec<float>}]}}`, "n", "10"},
		{"ai_filter_list", `{type: ai_filter_list, inputs: {provider: openai, model: m, list_to_filter: [a, b, c, d, e, f], ai_condition: it is good, output_blank_value: true}}`, "output", `["`},
		{"vision", `{type: llm_anthropic_vision, inputs: {prompt: "{{ in.text }}", image: "` + base + `/x.png"}}`, "response", "the sky the sky"},
		{"api", `{type: api, inputs: {method: POST, url: "` + base + `/x?key=secret", body_params: [{key: a, value: b}]}}`, "output", `{"method":"POST","rehearsal":true,"url":"` + base + `/x"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := New(Options{Env: env, Rehearse: &spec.Rehearse{}})
			p := parsePipeline(t, "\n\tin: {type: input}\n\tn: "+c.node+"\n\tout: {type: output, inputs: {value: \"{{ n."+c.out+" }}\"}}\n")
			if needs := e.Needs(p); len(needs.Missing) > 0 {
				t.Errorf("a rehearsal needs %v", needs.Missing)
			}
			saved, err := e.Save(t.Context(), p, runner.SaveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			status, err := e.Wait(t.Context(), start(t, e, saved.PipelineID, runner.Inputs{"in": "the sky"}))
			if err != nil || status.Err != nil {
				t.Fatal(err, status.Err)
			}
			got := spec.Text(status.Outputs["out"])
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%s\n want: %s...", got, c.want)
			}
			if asks := c.name != "api"; asks != (status.Usage != nil) {
				t.Errorf("usage %+v", status.Usage)
			}
		})
	}
}

// TestRehearsedPaths: items take all paths of a graph.
func TestRehearsedPaths(t *testing.T) {
	e := New(Options{Env: noEnv, Rehearse: &spec.Rehearse{}})
	id := save(t, e, `
		in: {type: input}
		way: {type: ai_routing, inputs: {provider: openai, model: m, input_query: "{{ in.text }}", conditions: [a, b]}}
		a: {type: text, inputs: {text: a, dependencies: ["{{ way.path_0 }}"]}}
		b: {type: text, inputs: {text: b, dependencies: ["{{ way.path_1 }}"]}}
		either: {type: merge, inputs: {fields: ["{{ a.text }}", "{{ b.text }}"]}}
		out: {type: output, inputs: {value: "{{ either.output }}"}}
	`)
	taken := map[string]int{}
	for i := range 60 {
		status, err := e.Wait(t.Context(), start(t, e, id, runner.Inputs{"in": fmt.Sprint("item ", i)}))
		if err != nil || status.Err != nil {
			t.Fatal(err, status.Err)
		}
		taken[spec.Text(status.Outputs["out"])]++
	}
	for _, path := range []string{"a", "b", ""} {
		if taken[path] < 3 {
			t.Errorf("path %q is taken by %d of 60 items", path, taken[path])
		}
	}
}

// TestRehearsedSecrets: none is left in part, of what a model or an address would
// have been told.
func TestRehearsedSecrets(t *testing.T) {
	const secret = "super secret/value1"
	e := New(Options{Env: noEnv, Rehearse: &spec.Rehearse{}, Redactor: spec.NewRedactor([]string{secret})})
	id := save(t, e, `
		n: {type: llm, inputs: {provider: openai, model: m, prompt: hi, system: "use `+secret+`", max_tokens: 6}}
		a: {type: api, inputs: {url: "http://10.0.0.1/bot`+secret+`/send"}}
		b: {type: api, inputs: {url: "http://10.0.0.1/bot%73uper%20secret%2Fvalue1/send"}}
		c: {type: api, inputs: {url: "http://10.0.0.1/a%20b/c"}}
		said: {type: output, inputs: {value: "{{ n.response }}"}}
		plain: {type: output, inputs: {value: "{{ a.output }}"}}
		escaped: {type: output, inputs: {value: "{{ b.output }}"}}
		other: {type: output, inputs: {value: "{{ c.output }}"}}
	`)
	status, err := e.Wait(t.Context(), start(t, e, id, nil))
	if err != nil || status.Err != nil {
		t.Fatal(err, status.Err)
	}
	const asked = `{"method":"GET","rehearsal":true,"url":"http://10.0.0.1/`
	same(t, "outputs", status.Outputs, map[string]any{
		"said": "hi use [hidden] hi use [", "plain": asked + `bot[hidden]/send"}`, "escaped": asked + `bot[hidden]/send"}`, "other": asked + `a%20b/c"}`,
	})
}

// TestRehearsedAPI: the latency and the failures are those of models.
func TestRehearsedAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{Env: noEnv, Rehearse: &spec.Rehearse{Latency: 3 * time.Second, Failures: 1}})
		id := save(t, e, `
			n: {type: api, inputs: {url: "http://10.0.0.1/x", fail_non_2xx_response: true}}
			out: {type: output, inputs: {value: "{{ n.output }}"}}
		`)
		began := time.Now()
		status, err := e.Wait(t.Context(), start(t, e, id, nil))
		if err != nil || status.State != runner.Failed || !strings.Contains(status.Err.Error(), "answered 503") || time.Since(began) != 3*time.Second {
			t.Errorf("%v: %v %v after %v", err, status.State, status.Err, time.Since(began))
		}
	})
}

// modelWeb is a transport that answers as a model's provider, with the latencies
// and failures of a rehearsal.
type modelWeb struct{ *llm.Rehearsal }

func (w modelWeb) RoundTrip(req *http.Request) (*http.Response, error) {
	failed, err := w.Call(req.Context())
	if err != nil {
		return nil, err
	}
	status, body := http.StatusOK, `{"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}`
	if failed {
		status, body = http.StatusServiceUnavailable, `{"error": {"message": "busy"}}`
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

// TestRehearsalForetells: a rehearsal takes as long as the real run, to the
// nanosecond where all calls take as long, within 10 % where that is chance.
func TestRehearsalForetells(t *testing.T) {
	const head = `
version: 1
pipeline:
  name: p
  nodes:
    in: {type: input}
    one: {type: llm, inputs: {provider: openai, model: m, prompt: "{{ in.text }}"}}
    even: {type: condition, inputs: {conditions: [{clauses: [{operator: Contains, input: "{{ in.text }}", value: even}]}]}}
    two: {type: llm, inputs: {provider: groq, model: n, prompt: "{{ one.response }}", dependencies: ["{{ even.path_0 }}"]}}
    either: {type: merge, inputs: {fields: ["{{ two.response }}", "{{ one.response }}"]}}
    out: {type: output, inputs: {value: "{{ either.output }}"}}
batches:
  b:
    inputs:
`
	for _, c := range []struct {
		name      string
		how       spec.Rehearse
		perMinute int
		items     int
		off       float64 // at the most
	}{
		{"fixed", spec.Rehearse{Latency: 500 * time.Millisecond}, 0, 100, 0},
		{"at a rate", spec.Rehearse{Latency: 500 * time.Millisecond}, 600, 100, 0},
		{"drawn", spec.Rehearse{Latency: 500 * time.Millisecond, P95: time.Second}, 0, 800, 0.1}, // some five standard deviations
		{"with failures", spec.Rehearse{Latency: 500 * time.Millisecond, P95: time.Second, Failures: 0.02}, 0, 800, 0.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var text bytes.Buffer
			text.WriteString(head)
			for i := range c.items {
				fmt.Fprintf(&text, "      - in: item %d %s\n", i, []string{"even", "odd"}[i%2])
			}
			run := func(models func(e *Engine)) (took time.Duration) {
				synctest.Test(t, func(t *testing.T) {
					file, problems := spec.Parse("batch.yaml", text.Bytes(), spec.Options{Env: noEnv})
					if errs, _ := problems.Split(); len(errs) > 0 {
						t.Fatal(errs)
					}
					e := New(Options{Env: noEnv, Rehearse: &c.how, RequestsPerMinute: c.perMinute})
					models(e)
					saved, err := e.Save(t.Context(), file.Pipeline, runner.SaveOptions{})
					if err != nil {
						t.Fatal(err)
					}
					retry := file.Run.Retry
					retry.Backoff.Initial = 200 * time.Millisecond // that the last of a short batch is not waited for alone
					began := time.Now()
					outcome, err := runner.Run(t.Context(), &runner.Plan{
						Batch: file.Batches[0], PipelineID: saved.PipelineID, Generation: "g", Total: -1, Rows: -1, Concurrency: 8,
						PollInterval: time.Second, Retry: retry, Redactor: file.Redactor,
					}, e, &results{})
					if err != nil || outcome.Counts[runner.Succeeded] != c.items {
						t.Fatalf("%+v, %v", outcome, err)
					}
					took = time.Since(began)
				})
				return took
			}
			earnest := run(func(e *Engine) {
				env := func(name string) (string, bool) {
					if !strings.HasSuffix(name, "_KEY") {
						return "", false
					}
					return "a-key-of-" + name, true
				}
				e.models = llm.New(llm.Options{Env: env, HTTP: &http.Client{Transport: modelWeb{llm.NewRehearsal(c.how)}}, RequestsPerMinute: c.perMinute})
			})
			foretold := run(func(*Engine) {})
			if off := foretold.Seconds()/earnest.Seconds() - 1; off > c.off || off < -c.off {
				t.Errorf("%v was foretold, and it took %v: %+.1f %%", foretold, earnest, 100*off)
			}
		})
	}
}
