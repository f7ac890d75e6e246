package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/schema"
)

const (
	echoNodes = `
		in: {type: input}
		t: {type: text, inputs: {text: "{{ in.text }}"}}
		out: {type: output, inputs: {value: "{{ t.text }}"}}
	`
	hourNodes = `
		w: {type: wait_node, inputs: {wait_time: 3600, wait_time_type: seconds}}
		out: {type: output, inputs: {value: x, dependencies: ["{{ w.complete }}"]}}
	`
)

func TestSave(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	p := parsePipeline(t, echoNodes)
	first, err := e.Save(t.Context(), p, runner.SaveOptions{})
	if err != nil || first.Action != runner.Created || first.PipelineID == "" {
		t.Fatalf("%v, %v; want created", first, err)
	}
	again := parsePipeline(t, echoNodes)
	for _, c := range []struct {
		what   string
		change func()
		want   runner.SaveAction
		sameID bool
	}{
		{"the same", func() {}, runner.Unchanged, true},
		{"another value", func() { again.Nodes[1].Inputs["text"] = "x" }, runner.Updated, true},
		{"the same as before", func() {}, runner.Unchanged, true},
		{"another order", func() { again.Nodes[0], again.Nodes[2] = again.Nodes[2], again.Nodes[0] }, runner.Updated, true},
		{"another description", func() { again.Description = "x" }, runner.Unchanged, true},
		{"another name", func() { again.Name = "q" }, runner.Created, false},
	} {
		c.change()
		saved, err := e.Save(t.Context(), again, runner.SaveOptions{})
		if err != nil || saved.Action != c.want || (saved.PipelineID == first.PipelineID) != c.sameID {
			t.Errorf("%s: %v, %v; want %s", c.what, saved, err, c.want)
		}
	}
}

// A run goes on with the graph that it was started with.
func TestSaveWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		h := start(t, e, save(t, e, hourNodes), nil)
		id := save(t, e, strings.Replace(hourNodes, "value: x", "value: y", 1))
		for h, want := range map[runner.Handle]string{h: "x", start(t, e, id, nil): "y"} {
			if status, err := e.Wait(t.Context(), h); err != nil || status.Outputs["out"] != want {
				t.Errorf("%v, %v; want %s", status, err, want)
			}
		}
	})
}

func TestEveryNodeTypeIsInTheCatalogue(t *testing.T) {
	t.Parallel()
	for name := range nodeTypes {
		if schema.LookupNodeType(name) == nil || !Runs(name) {
			t.Errorf("%s is not in the catalogue", name)
		}
	}
	if Runs("llm2") {
		t.Error("a type that does not exist is said to be run")
	}
}

func TestUnknownPipelineAndRun(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	_, err := e.Start(t.Context(), "x", nil, runner.StartOptions{})
	checkError(t, err, `there is no pipeline "x" in this engine`)
	h := runner.Handle{TaskID: "x"}
	_, waitErr := e.Wait(t.Context(), h)
	_, statusErr := e.Status(t.Context(), h)
	for _, err := range []error{waitErr, statusErr, e.Terminate(t.Context(), h)} {
		checkError(t, err, `there is no run "x" in this engine`)
	}
}

func TestHandle(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	id := save(t, e, echoNodes)
	first, err := e.Start(t.Context(), id, runner.Inputs{"in": "x"}, runner.StartOptions{TraceID: "trace"})
	second := start(t, e, id, runner.Inputs{"in": "x"})
	if err != nil || first.PipelineID != id || first.TraceID != "trace" || first.TaskID == second.TaskID {
		t.Errorf("%v, %v, %v", first, second, err)
	}
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		h := start(t, e, save(t, e, hourNodes), nil)
		check := func(want runner.State) {
			t.Helper()
			if status, err := e.Status(t.Context(), h); err != nil || status.State != want {
				t.Errorf("%v, %v; want %s", status, err, want)
			}
		}
		time.Sleep(time.Hour - 1)
		check(runner.Running)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		check(runner.Succeeded)
		check(runner.Succeeded) // a look forgets nothing
		if err := e.Terminate(t.Context(), h); err != nil {
			t.Error(err)
		}
		check(runner.Succeeded) // what has ended stays as it is
	})
}

func TestTerminate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		began := time.Now()
		h := start(t, e, save(t, e, hourNodes), nil)
		synctest.Wait()
		if err := e.Terminate(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if status, err := e.Status(t.Context(), h); err != nil || status.State != runner.Cancelled || status.Err != nil {
			t.Errorf("%v, %v; want cancelled", status, err)
		}
		if status, err := e.Wait(t.Context(), h); err != nil || status.State != runner.Cancelled || status.Outputs != nil {
			t.Errorf("%v, %v; want cancelled", status, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestTerminateHonoursItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		id := save(t, e, hourNodes)
		release := make(chan struct{})
		inject(e, id, "w", func(*call) error { <-release; return nil }) // a node that cannot be cancelled
		h := start(t, e, id, nil)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Terminate(ctx, h); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v; want a deadline that is exceeded", err)
		}
		close(release)
		if status, err := e.Wait(t.Context(), h); err != nil || status.State != runner.Cancelled {
			t.Errorf("%v, %v; want cancelled", status, err)
		}
	})
}

func TestWaitHonoursItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		h := start(t, e, save(t, e, hourNodes), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if status, err := e.Wait(ctx, h); !errors.Is(err, context.DeadlineExceeded) || status.State != runner.Running {
			t.Errorf("%v, %v; want a running run and an exceeded deadline", status, err)
		}
		if status, err := e.Wait(t.Context(), h); err != nil || status.Outputs["out"] != "x" {
			t.Errorf("%v, %v; the run was given up with the wait", status, err)
		}
	})
}

// Of two things that are both so, the end of the run is told.
func TestWaitTellsTheEndEvenWhenCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		id := save(t, e, echoNodes)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 50 {
			h := start(t, e, id, runner.Inputs{"in": "x"})
			synctest.Wait()
			if status, err := e.Wait(ctx, h); err != nil || status.State != runner.Succeeded {
				t.Fatalf("%v, %v; want succeeded", status, err)
			}
		}
	})
}

func TestRunsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		id := save(t, e, echoNodes)
		h := start(t, e, id, runner.Inputs{"in": "x"})
		if _, err := e.Wait(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		_, err := e.Status(t.Context(), h)
		checkError(t, err, `there is no run "`+h.TaskID+`" in this engine`)

		first := start(t, e, id, runner.Inputs{"in": "x"})
		synctest.Wait()
		var last runner.Handle
		for range keptRuns {
			last = start(t, e, id, runner.Inputs{"in": "x"})
		}
		synctest.Wait()
		if len(e.runs) != keptRuns {
			t.Errorf("%d ended runs are kept, want %d", len(e.runs), keptRuns)
		}
		_, err = e.Status(t.Context(), first)
		checkError(t, err, `there is no run "`+first.TaskID+`" in this engine`)
		if status, err := e.Status(t.Context(), last); err != nil || status.State != runner.Succeeded {
			t.Errorf("%v, %v; the last run is to be known", status, err)
		}
		for range keptRuns { // who waits for a run does not make the engine forget others
			if _, err := e.Wait(t.Context(), start(t, e, id, runner.Inputs{"in": "x"})); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.Status(t.Context(), last); err != nil {
			t.Errorf("after others were waited for: %v", err)
		}
	})
}

func nodeOf(e *Engine, id, name string) *node {
	for _, n := range e.pipelines[id].program.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// inject puts another step in the place of a node's.
func inject(e *Engine, id, name string, s step) { nodeOf(e, id, name).step = s }
