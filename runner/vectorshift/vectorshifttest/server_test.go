package vectorshifttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"nightshift/runner"
)

// echoGraph has one input, a model, and two outputs.
const echoGraph = `{
	"name": "echo", "unknown": [1],
	"nodes": {
		"input_1": {"id": "input_1", "name": "in", "type": "input", "task_name": "input", "execution_mode": "normal", "inputs": {"input_type": "string"}, "outputs": ["text"]},
		"llm_1": {"id": "llm_1", "name": "llm", "type": "llm", "task_name": "llm", "execution_mode": "normal", "inputs": {"prompt": "{{ input_1.text }}"}, "outputs": ["response"]},
		"output_1": {"id": "output_1", "name": "out", "type": "output", "task_name": "output", "execution_mode": "normal", "inputs": {"output_type": "stream<string>", "value": "got {{input_1.text}}"}, "outputs": []},
		"output_2": {"id": "output_2", "name": "made", "type": "output", "task_name": "output", "execution_mode": "normal", "inputs": {"value": "{{ llm_1.response }}"}, "outputs": []}
	},
	"canvas_metadata": {"edges": [
		{"id": "reactflow__edge-input_1input_1-outputs-llm_1llm_1-inputs", "source": "input_1", "target": "llm_1", "source_handle": "input_1-outputs", "target_handle": "llm_1-inputs"},
		{"id": "reactflow__edge-input_1input_1-outputs-output_1output_1-inputs", "source": "input_1", "target": "output_1", "source_handle": "input_1-outputs", "target_handle": "output_1-inputs"},
		{"id": "reactflow__edge-llm_1llm_1-outputs-output_2output_2-inputs", "source": "llm_1", "target": "output_2", "source_handle": "llm_1-outputs", "target_handle": "output_2-inputs"}
	]}
}`

// caller makes calls, and keeps what was answered.
type caller struct {
	*testing.T
	s      *Server
	client *http.Client
}

func (c caller) call(method, path, body string) (code int, text string, err error) {
	r, err := http.NewRequestWithContext(c.Context(), method, c.s.URL+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.s.Key)
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	return answer.StatusCode, strings.TrimSpace(string(all)), err
}

// want checks an answer.
func (c caller) want(method, path, body, wanted string) {
	c.Helper()
	if _, got, err := c.call(method, path, body); got != wanted || err != nil {
		c.Errorf("%s %s: %v\n got %s\nwant %s", method, path, err, got, wanted)
	}
}

// everywhere runs a test over the network, and in process with a clock of its own.
func everywhere(t *testing.T, test func(c caller)) {
	t.Run("network", func(t *testing.T) {
		s := New()
		defer s.Close()
		test(caller{t, s, http.DefaultClient})
	})
	t.Run("in process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := NewInProcess()
			defer s.Close()
			test(caller{t, s, s.Client()})
		})
	})
}

func graph(t *testing.T) map[string]any {
	var object map[string]any
	if err := json.Unmarshal([]byte(echoGraph), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestLifeOfARun(t *testing.T) {
	everywhere(t, func(c caller) {
		c.s.Set(Settings{
			Takes: func(r Run) time.Duration {
				if r.Inputs["in"] == "never" {
					return -1
				}
				return 0
			},
			Ends: func(r Run) (map[string]any, string) {
				if r.Inputs["in"] == "bad" {
					return nil, "bad input"
				}
				return nil, ""
			},
		})
		c.want("POST", "/pipeline", `{"name":"echo"}`, `{"branch_id":"b00000000000000000000002","id":"a00000000000000000000001","status":"success"}`)
		const p = "/pipeline/a00000000000000000000001"
		c.want("POST", "/update"+p, echoGraph, `{"status":"success"}`)
		c.want("POST", p+"/run", `{"background":true,"trace_id":"t","inputs":{"in":"x"}}`, `{"status":"in_progress","task_id":"c00000000000000000000003","trace_id":"t"}`)
		c.want("GET", p+"/run/status/c00000000000000000000003", "", `{"error":null,"result":{"made":"made by llm","out":"got x"},"status":"completed","task_id":"c00000000000000000000003"}`)
		c.want("POST", p+"/run", `{"background":true,"trace_id":"t","inputs":{"in":"never"}}`, `{"status":"in_progress","task_id":"c00000000000000000000004","trace_id":"t"}`)
		c.want("GET", p+"/run/status/c00000000000000000000004", "", `{"error":null,"result":null,"status":"in_progress","task_id":"c00000000000000000000004"}`)
		c.want("POST", p+"/terminate", `{"run_id":"c00000000000000000000004"}`, `{"status":"success"}`)
		c.want("GET", p+"/run/status/c00000000000000000000004", "", `{"error":null,"result":null,"status":"cancelled","task_id":"c00000000000000000000004"}`)
		c.want("POST", p+"/run", `{"inputs":{"in":"bad"},"trace_id":"t"}`, `{"error":"bad input","run_id":"c00000000000000000000005","status":"failed","trace_id":"t"}`)
		c.want("GET", p+"/run/status/x", "", `{"error":"run not found","status":"failed"}`)
		var states []runner.State
		for _, r := range c.s.Runs() {
			states = append(states, r.State)
		}
		if diff := cmp.Diff([]runner.State{runner.Succeeded, runner.Cancelled, runner.Failed}, states); diff != "" || c.s.Peak() != 1 {
			t.Errorf("at most %d in flight; %s", c.s.Peak(), diff)
		}
		if n := len(c.s.Calls(Start, Status)); n != 6 {
			t.Errorf("%d starts and looks, want 6", n)
		}
	})
}

func TestRelease(t *testing.T) {
	everywhere(t, func(c caller) {
		c.s.Set(Settings{Takes: func(Run) time.Duration { return -1 }})
		p := "/pipeline/" + c.s.Put(graph(c.T))
		_, _, _ = c.call("POST", p+"/run", `{"background":true,"inputs":{"in":"x"}}`)
		ended := make(chan string)
		go func() {
			_, text, _ := c.call("POST", p+"/run", `{"inputs":{"in":"x"}}`)
			ended <- text
		}()
		for len(c.s.Runs()) < 2 {
			time.Sleep(time.Millisecond)
		}
		c.s.Release()
		if text := <-ended; !strings.Contains(text, `"status":"success"`) || c.s.Runs()[0].State != runner.Succeeded {
			t.Errorf("%s; the other is %s", text, c.s.Runs()[0].State)
		}
	})
}

func TestStreams(t *testing.T) {
	everywhere(t, func(c caller) {
		p := "/pipeline/" + c.s.Put(graph(c.T))
		const result = `data: {"outputs":{"made":"made by llm","out":"got x"},"run_id":"c00000000000000000000003","status":"success","trace_id":"t","type":"result"}`
		frame := func(name, value string) string {
			return `data: {"output_name":"` + name + `","output_value":"` + value + `","run_id":"c00000000000000000000003","type":"stream"}` + "\n\n"
		}
		c.want("POST", p+"/run", `{"stream":true,"stream_all_outputs":true,"trace_id":"t","inputs":{"in":"x"}}`,
			frame("llm.response", "made by llm")+frame("made", "made by llm")+frame("out", "got ")+frame("out", "x")+result)
	})
}

func TestGraphsOfTheWrongForm(t *testing.T) {
	for old, put := range map[string]string{
		`"input_1": {"id"`:   `"in-1": {"id"`,
		`"task_name": "llm"`: `"task_name": "model"`,
		`"execution_mode": "normal", "inputs": {"prompt"`: `"inputs": {"prompt"`,
		`{{ llm_1.response }}`:                            `{{ llm.response }}`,
		`"target": "llm_1"`:                               `"target": "llm_2"`,
		`"value": "{{ llm_1.response }}"`:                 `"value": "{{ input_1.text }}"`,
		`"nodes": {`:                                      `"nodes": 1, "other": {`,
		`"outputs": ["response"]`:                         `"outputs": null`,
	} {
		text := strings.Replace(echoGraph, old, put, 1)
		s := NewInProcess()
		code, answer, err := caller{t, s, s.Client()}.call("POST", "/pipeline", text)
		if text == echoGraph || code != 400 || err != nil {
			t.Errorf("with %s: %d %s (%v), want 400", put, code, answer, err)
		}
	}
}

func TestFailures(t *testing.T) {
	everywhere(t, func(c caller) {
		p := "/pipeline/" + c.s.Put(graph(c.T))
		const start = `{"background":true,"inputs":{}}`
		for name, want := range map[string]struct {
			failure Failure
			code    int // 0: an error
			runs    int
		}{
			"status":    {Failure{Status: 503}, 503, 0},
			"refused":   {RetryAfter(3), 429, 0},
			"page":      {HTML(200), 200, 0},
			"cut":       {Failure{Cut: true}, 0, 0},
			"lost":      {Failure{Cut: true, Done: true}, 0, 1},
			"late":      {Failure{Delay: time.Millisecond}, 200, 1},
			"slow":      {Failure{Trickle: time.Microsecond}, 200, 1},
			"half":      {Failure{CutAfter: 5}, 200, 1},
			"502, done": {Failure{Status: 502, Done: true}, 502, 1},
		} {
			before := len(c.s.Runs())
			c.s.Fail(Start, 1, want.failure)
			code, text, err := c.call("POST", p+"/run", start)
			runs := c.s.Runs()[before:]
			half := name == "half"
			if code != want.code || len(runs) != want.runs || (err != nil) != (code == 0 || half) || half && text != `{"sta` {
				t.Errorf("%s: %d %s (%v), %d runs", name, code, text, err, len(runs))
			}
			if len(runs) == 1 && runs[0].Lost != (name == "lost" || name == "502, done") {
				t.Errorf("%s: the run is lost: %v", name, runs[0].Lost)
			}
		}
		c.s.Fail(Any, -1, Failure{Status: 500})
		c.s.Mend()
		c.s.Sometimes(Status, 0.5, Failure{Status: 500})
		failed := 0
		for range 100 {
			if code, _, _ := c.call("GET", p+"/run/status/x", ""); code == 500 {
				failed++
			}
		}
		if failed < 25 || failed > 75 {
			t.Errorf("%d of 100 failed, want about half", failed)
		}
	})
}

func TestNobodyWaitsForEver(t *testing.T) {
	everywhere(t, func(c caller) {
		p := "/pipeline/" + c.s.Put(graph(c.T))
		c.s.Fail(Start, 1, Failure{Delay: Forever})
		ctx, cancel := context.WithTimeout(c.Context(), 20*time.Millisecond)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "POST", c.s.URL+p+"/run", bytes.NewReader([]byte(`{"background":true}`)))
		r.Header.Set("Authorization", "Bearer "+c.s.Key)
		answer, err := c.client.Do(r)
		if err == nil {
			answer.Body.Close()
		}
		if !errors.Is(err, context.DeadlineExceeded) || len(c.s.Runs()) != 1 {
			t.Errorf("%v, %d runs", err, len(c.s.Runs()))
		}
	})
}

func TestTooManyRunsAndKeys(t *testing.T) {
	everywhere(t, func(c caller) {
		c.s.Set(Settings{MaxRuns: 2, Takes: func(Run) time.Duration { return -1 }})
		p := "/pipeline/" + c.s.Put(graph(c.T))
		for i, want := range []int{200, 200, 429} {
			if code, _, _ := c.call("POST", p+"/run", `{"background":true,"inputs":{}}`); code != want {
				t.Errorf("start %d: %d, want %d", i, code, want)
			}
		}
		for auth, want := range map[string]string{"": "Missing authorization header", "Basic x": "Invalid authorization header format", "Bearer x": "Invalid API key"} {
			r, _ := http.NewRequestWithContext(c.Context(), "GET", c.s.URL+"/pipelines", nil)
			if auth != "" {
				r.Header.Set("Authorization", auth)
			}
			answer, err := c.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode != 401 || string(text) != `{"error":"`+want+`"}` {
				t.Errorf("%q: %d %s", auth, answer.StatusCode, text)
			}
		}
	})
}

// The newest of a name is fetched, versions and what is published stay apart.
func TestPipelinesAreKept(t *testing.T) {
	s := NewInProcess()
	c := caller{t, s, s.Client()}
	first, second := s.Put(graph(t)), s.Put(graph(t))
	if diff := cmp.Diff([]string{second, first}, s.Pipelines("echo")); diff != "" {
		t.Error(diff)
	}
	later := strings.Replace(echoGraph, "got {{", "now {{", 1)
	c.want("POST", "/update/pipeline/"+first, strings.Replace(echoGraph, `"unknown"`, `"bump":"minor","unknown"`, 1), `{"status":"success"}`)
	c.want("POST", "/update/pipeline/"+first, strings.Replace(later, `"unknown"`, `"deploy":false,"unknown"`, 1), `{"status":"success"}`)
	if diff := cmp.Diff([]string{first, second}, s.Pipelines("")); diff != "" {
		t.Error(diff)
	}
	for version, want := range map[string]string{"": "now", "0.1.0": "got"} {
		_, text, err := c.call("GET", "/pipeline?name=echo&version="+version, "")
		if !strings.Contains(text, `"value":"`+want) || !strings.Contains(text, `"unknown":[1]`) || err != nil {
			t.Errorf("version %q: %s", version, text)
		}
	}
	_, _, _ = c.call("POST", "/pipeline/"+first+"/run", `{"background":true,"inputs":{"in":"x"}}`)
	_, _, _ = c.call("POST", "/pipeline/"+first+"/run", `{"background":true,"inputs":{"in":"x"},"node_input_overrides":{"out.value":"z"}}`)
	if runs := s.Runs(); runs[0].Outputs["out"] != "got x" || runs[1].Outputs["out"] != "z" {
		t.Errorf("%v, %v", runs[0].Outputs, runs[1].Outputs)
	}
	c.want("GET", "/pipelines?limit=1", "", `{"object_ids":["`+first+`"],"status":"success"}`)
	c.want("DELETE", "/pipeline/"+first, "", `{"status":"success"}`)
	if s.Object(first) != nil || len(s.Pipelines("")) != 1 {
		t.Error("it is still there")
	}
}
