package engine

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
	"nightshift/spec"
)

// log keeps messages, which come from many goroutines.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, message)
}

// wantPanic wants a run to have failed with a bug at that place, and the log to
// hold its stack. The message is without the line.
func wantPanic(t *testing.T, status runner.Status, l *log, message, logged string) {
	t.Helper()
	class, ok := errors.AsType[interface {
		error
		Class() string
	}](status.Err)
	if status.State != runner.Failed || !ok || class.Class() != "panic" {
		t.Fatalf("status %+v; want failed by a panic", status)
	}
	same(t, "error", regexp.MustCompile(`:\d+\)`).ReplaceAllString(status.Err.Error(), ")"), message)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.ContainsFunc(l.lines, func(m string) bool { return strings.HasPrefix(m, logged) && strings.Contains(m, "\ngoroutine ") }) {
		t.Errorf("log %q; want the stack after %q", l.lines, logged)
	}
}

func TestPanicIsAnErrorOfTheRun(t *testing.T) {
	t.Parallel()
	for _, blocking := range []bool{false, true} {
		var l log
		e := New(Options{Log: l.add})
		id := save(t, e, echoNodes)
		inject(e, id, "t", func(*call) error { panic("boom") })
		e.pipelines[id].program.blocks = blocking
		nodeOf(e, id, "t").blocking = blocking
		status := wait(t, e, start(t, e, id, runner.Inputs{"in": "x"}))
		wantPanic(t, status, &l, "node t (text): panicked: boom (in nightshift/runner/engine.TestPanicIsAnErrorOfTheRun.func1); please report it", "node t (text) panicked: boom (in ")
	}
}

// bug is a transport that panics, as a library may, with what must not be seen.
type bug struct{ canary string }

func (b bug) RoundTrip(r *http.Request) (*http.Response, error) {
	panic("cannot send " + r.Header.Get("Authorization") + b.canary)
}

// A bug in a library is told with what it says, which may be a key: that is
// hidden where results and logs are written, as all of it is there in one piece.
func TestPanicOfALibrary(t *testing.T) {
	t.Parallel()
	const key = "sk-canary-0123456789abcdef"
	redactor := (*spec.Redactor)(nil).WithKeys([]string{key})
	for name, nodes := range map[string]string{
		"llm": `
			in: {type: input}
			n: {type: llm, inputs: {provider: openai, model: m, prompt: "{{ in.text }}"}}
			out: {type: output, inputs: {value: "{{ n.response }}"}}
		`,
		"ai_filter_list": `
			in: {type: input}
			n: {type: ai_filter_list, inputs: {list_to_filter: ["{{ in.text }}", b], ai_condition: C, provider: openai, model: m}}
			out: {type: output, inputs: {value: "{{ n.output }}"}}
		`,
		"api": `
			in: {type: input}
			n: {type: api, inputs: {url: "http://h", headers: [{key: Authorization, value: ` + key + `}]}}
			out: {type: output, inputs: {value: "{{ n.output }}{{ in.text }}"}}
		`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l log
			env := func(name string) (string, bool) {
				return map[string]string{"OPENAI_API_KEY": key}[name], name == "OPENAI_API_KEY"
			}
			e := New(Options{Log: l.add, Env: env})
			e.http.Transport = bug{key}
			e.models = llm.New(llm.Options{HTTP: &http.Client{Transport: bug{key}}, Env: env, RequestsPerMinute: 1e6})
			id := save(t, e, nodes)
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					h, err := e.Start(t.Context(), id, runner.Inputs{"in": "x"}, runner.StartOptions{})
					if err != nil {
						t.Error(err)
						return
					}
					status, err := e.Wait(t.Context(), h)
					if err != nil || status.State != runner.Failed || !strings.Contains(status.Err.Error(), "panicked: cannot send ") {
						t.Errorf("%+v, %v", status, err)
						return
					}
					if said := redactor.Message(status.Err.Error()); strings.Contains(said, "canary") {
						t.Errorf("error: %s", said)
					}
				})
			}
			group.Wait()
			if len(l.lines) == 0 {
				t.Error("nothing was logged")
			}
			for _, m := range l.lines {
				if !strings.Contains(m, "bug.RoundTrip") || strings.Contains(redactor.Message(m), "canary") {
					t.Errorf("log: %s", redactor.Message(m))
				}
			}
		})
	}
}

// A bug beside all nodes ends the run when nothing works on it any more.
func TestPanicBesideTheNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which would see what is left of it
		var l log
		e := New(Options{Log: l.add})
		id := save(t, e, `
			w: {type: wait_node, inputs: {wait_time: 3600, wait_time_type: seconds}}
			t: {type: text, inputs: {text: x}}
			out: {type: output, inputs: {value: "{{ t.text }}", dependencies: ["{{ w.complete }}"]}}
		`)
		began := time.Now()
		_, status, err := e.Stream(t.Context(), id, nil, runner.StartOptions{}, func(runner.Chunk) { panic("no ears") })
		if err != nil {
			t.Fatal(err)
		}
		wantPanic(t, status, &l, "panicked: no ears (in nightshift/runner/engine.TestPanicBesideTheNodes.func1.1); please report it", "the run panicked: no ears (in ")
		same(t, "time", time.Since(began), time.Duration(0))
	})
}
