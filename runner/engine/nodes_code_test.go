package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/runner/engine/script"
)

// codeNodes is a pipeline of an input and a node of code.
func codeNodes(code string) string {
	return `
		text: {type: input}
		code:
		  type: code_execution
		  inputs:
		    language: 1
		    code: "` + code + `"
		    input_schema: [{name: text, type: string, value: "{{ text.text }}"}]
		    output_schema: [{name: output_1, type: string}]
		out: {type: output, inputs: {value: "{{ code.output_1 }}"}}
	`
}

// TestCodeWithoutEnd has some runs that never end beside others that do.
func TestCodeWithoutEnd(t *testing.T) {
	t.Parallel()
	e := New(Options{Scripts: script.NewPool(script.Options{Workers: 2, Limits: script.Limits{Time: time.Second}})})
	defer e.scripts.Close()
	id := save(t, e, codeNodes("if (text === 'loop') for (;;); output_1 = text + '!'"))
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			text, want := fmt.Sprint(i), "<nil>"
			if i%20 == 0 {
				text, want = "loop", "node code (code_execution): the code ran longer than 1s"
			}
			status, err := e.Wait(t.Context(), start(t, e, id, runner.Inputs{"text": text}))
			if err != nil || fmt.Sprint(status.Err) != want {
				t.Errorf("run %d: %v, %v, want %s", i, err, status.Err, want)
			}
			if want == "<nil>" && status.Outputs["out"] != text+"!" {
				t.Errorf("run %d: %s", i, asJSON(status.Outputs))
			}
		})
	}
	all.Wait()
}

func TestCodeTerminated(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	defer e.scripts.Close()
	id := save(t, e, codeNodes("for (;;);"))
	h := start(t, e, id, runner.Inputs{"text": ""})
	began := time.Now()
	if err := e.Terminate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	status, err := e.Status(t.Context(), h)
	if took := time.Since(began); err != nil || status.State != runner.Cancelled || took > 5*time.Second {
		t.Errorf("%v, %v after %v", status.State, err, took)
	}
}

// TestCodeOverridden has a program wait for a worker that looks through its code,
// while all else goes on.
func TestCodeOverridden(t *testing.T) {
	t.Parallel()
	scripts := script.NewPool(script.Options{Workers: 1})
	defer scripts.Close()
	e := New(Options{Scripts: scripts})
	id := save(t, e, codeNodes("for (;;);"))
	loop := start(t, e, id, runner.Inputs{"text": ""})
	time.Sleep(100 * time.Millisecond) // for the worker to be taken; else this shows less, and fails not
	overridden := make(chan error, 1)
	go func() {
		_, err := e.Start(context.Background(), id, runner.Inputs{"text": ""}, runner.StartOptions{NodeInputOverrides: map[string]any{"code.code": "output_1 = 'a'"}})
		overridden <- err
	}()
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	if status, err := e.Status(t.Context(), loop); err != nil || status.State != runner.Running || time.Since(began) > 2*time.Second {
		t.Errorf("%v, %v after %v", status.State, err, time.Since(began))
	}
	if err := e.Terminate(t.Context(), loop); err != nil {
		t.Fatal(err)
	}
	if err := <-overridden; err != nil {
		t.Error(err)
	}
}

// TestCodeKeepsNothing has runs that would tell one another their inputs.
func TestCodeKeepsNothing(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	defer e.scripts.Close()
	id := save(t, e, codeNodes("var seen = (globalThis.all ??= []); Object.prototype.text2 = text; seen.push(text); output_1 = seen.join()"))
	for i := range 20 {
		text := fmt.Sprint(i)
		status, err := e.Wait(t.Context(), start(t, e, id, runner.Inputs{"text": text}))
		if err != nil || status.Outputs["out"] != text {
			t.Fatalf("run %d: %s, %v, %v", i, asJSON(status.Outputs), status.Err, err)
		}
	}
}

func TestReadType(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{
		"": "any", "string": "string", " Text ": "string", "int": "int32", "List of Text": "vec<string>", "list": "vec<any>", "list[str]": "vec<string>",
		"vec<vec<Integer>>": "vec<vec<int32>>", "dict": "json", "map<string, string>": "json", "list<dict>": "vec<json>",
		"file": "", "vec<file>": "", "vec<": "", "list[str>": "",
	} {
		got, ok := readType(typ)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v, want %q", typ, got, ok, want)
		}
	}
}

func BenchmarkCode(b *testing.B) {
	e := New(Options{})
	defer e.scripts.Close()
	id := save(b, e, codeNodes("output_1 = text + '!'"))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h, err := e.Start(context.Background(), id, runner.Inputs{"text": strings.Repeat("a", 100)}, runner.StartOptions{})
			if err != nil {
				b.Error(err)
				return
			}
			if status, err := e.Wait(context.Background(), h); err != nil || status.Err != nil {
				b.Error(err, status.Err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}
