package engine

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
)

// Of these nodes, one and its users are skipped, whichever way is taken.
const branches = `
	way: {type: input}
	c:
	  type: condition
	  inputs: {conditions: [{clauses: [{operator: Equal, input: "{{ way.text }}", value: left}]}]}
	left: {type: text, inputs: {text: L, dependencies: ["{{ c.path_0 }}"]}}
	right: {type: text, inputs: {text: R, dependencies: ["{{ c.path_else }}"]}}
`

func TestBranches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, nodes, way, want string }{
		{"what refers to a skipped node is skipped, and so on", `
			l2: {type: combine_text, inputs: {text: ["{{ left.text }}", "!"]}}
			l3: {type: text, inputs: {text: "<{{ l2.processed_text }}>"}}
			o1: {type: output, inputs: {value: "{{ l3.text }}"}}
			o2: {type: output, inputs: {value: "{{ right.text }}"}}
		`, "right", `{"o1":null,"o2":"R"}`},
		{"the other way", `
			l2: {type: combine_text, inputs: {text: ["{{ left.text }}", "!"]}}
			o1: {type: output, inputs: {value: "<{{ l2.processed_text }}>"}}
			o2: {type: output, inputs: {value: "{{ right.text }}"}}
		`, "left", `{"o1":"<L!>","o2":null}`},
		{"one skipped source of two is enough", `
			both: {type: text, inputs: {text: "{{ left.text }}{{ right.text }}"}}
			out: {type: output, inputs: {value: "{{ both.text }}"}}
		`, "left", `{"out":null}`},
		{"an output may depend on a path itself", `
			o1: {type: output, inputs: {value: x, dependencies: ["{{ c.path_0 }}"]}}
			o2: {type: output, inputs: {value: y, dependencies: ["{{ c.path_else }}"]}}
		`, "left", `{"o1":"x","o2":null}`},
		{"all dependencies must be taken", `
			both: {type: text, inputs: {text: x, dependencies: ["{{ c.path_0 }}", "{{ c.path_else }}"]}}
			out: {type: output, inputs: {value: "{{ both.text }}"}}
		`, "left", `{"out":null}`},
		{"a path counts in any input", `
			out: {type: output, inputs: {value: "{{ c.path_0 }}"}}
			not: {type: output, inputs: {value: "{{ c.path_else }}"}}
		`, "left", `{"not":null,"out":"true"}`},
		{"what a skipped node would complete is skipped", `
			after: {type: text, inputs: {text: x, dependencies: ["{{ left.complete }}"]}}
			o1: {type: output, inputs: {value: "{{ after.text }}"}}
			o2: {type: output, inputs: {value: y, dependencies: ["{{ right.complete }}"]}}
		`, "right", `{"o1":null,"o2":"y"}`},
		{"a condition in a branch that is not taken takes no path", `
			inner: {type: condition, inputs: {conditions: [{clauses: [[Equal, "{{ left.text }}", L]]}]}}
			yes: {type: text, inputs: {text: "yes", dependencies: ["{{ inner.path_0 }}"]}}
			no: {type: text, inputs: {text: "no", dependencies: ["{{ inner.path_else }}"]}}
			m: {type: merge, inputs: {function: join, fields: ["{{ yes.text }}", "{{ no.text }}"]}}
			out: {type: output, inputs: {value: "{{ m.output }}"}}
		`, "right", `{"out":null}`},
		{"a condition in the branch that is taken", `
			inner: {type: condition, inputs: {conditions: [{clauses: [[Equal, "{{ left.text }}", X]]}]}}
			yes: {type: text, inputs: {text: "yes", dependencies: ["{{ inner.path_0 }}"]}}
			no: {type: text, inputs: {text: "no", dependencies: ["{{ inner.path_else }}"]}}
			m: {type: merge, inputs: {function: join, fields: ["{{ yes.text }}", "{{ no.text }}", "{{ right.text }}"]}}
			out: {type: output, inputs: {value: "{{ m.output }}"}}
		`, "left", `{"out":"[\"no\"]"}`},
		{"a merge of merges", `
			m1: {type: merge, inputs: {fields: ["{{ left.text }}"]}}
			m2: {type: merge, inputs: {fields: ["{{ m1.output }}", "{{ right.text }}"]}}
			out: {type: output, inputs: {value: "{{ m2.output }}"}}
		`, "right", `{"out":"R"}`},
		{"a skipped input node has no value", `
			late: {type: input, inputs: {use_default_value: true, default_value: D, dependencies: ["{{ c.path_0 }}"]}}
			m: {type: merge, inputs: {fields: ["{{ late.text }}", "{{ right.text }}"]}}
			out: {type: output, inputs: {value: "{{ m.output }}"}}
		`, "right", `{"out":"R"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			outputs, err := runNodes(t, strings.TrimRight(branches, "\n")+c.nodes, runner.Inputs{"way": c.way})
			if got := asJSON(outputs); err != nil || got != c.want {
				t.Errorf("%s, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestFirstTrueGroupDecides(t *testing.T) {
	t.Parallel()
	for n, want := range map[string]string{"5": "small", "50": "medium", "500": "large"} {
		outputs, err := runNodes(t, `
			n: {type: input}
			c:
			  type: condition
			  inputs:
			    conditions:
			      - {clauses: [[LessThan, "{{ n.text }}", 10]]}
			      - {clauses: [[LessThan, "{{ n.text }}", 100]]}
			a: {type: text, inputs: {text: small, dependencies: ["{{ c.path_0 }}"]}}
			b: {type: text, inputs: {text: medium, dependencies: ["{{ c.path_1 }}"]}}
			d: {type: text, inputs: {text: large, dependencies: ["{{ c.path_else }}"]}}
			m: {type: merge, inputs: {function: join, fields: ["{{ a.text }}", "{{ b.text }}", "{{ d.text }}"]}}
			out: {type: output, inputs: {value: "{{ m.output }}"}}
		`, runner.Inputs{"n": n})
		if got := outputs["out"]; err != nil || got != `["`+want+`"]` {
			t.Errorf("%s: %v, %v; want %s alone", n, got, err, want)
		}
	}
}

// Nodes may stand in any order in the file.
func TestOrderOfNodesDoesNotMatter(t *testing.T) {
	t.Parallel()
	outputs, err := runNodes(t, `
		out: {type: output, inputs: {value: "{{ c.text }}"}}
		c: {type: text, inputs: {text: "{{ b.text }}c"}}
		b: {type: text, inputs: {text: "{{ a.text }}b"}}
		a: {type: input}
	`, runner.Inputs{"a": "a"})
	if got := asJSON(outputs); err != nil || got != `{"out":"abc"}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestErrorNamesItsNode(t *testing.T) {
	t.Parallel()
	_, err := runNodes(t, `
		list: {type: create_list, inputs: {list: []}}
		item: {type: get_list_item, inputs: {list: "{{ list.output }}", index: 0}}
		out: {type: output, inputs: {value: "{{ item.output }}"}}
	`, nil)
	var failure *runner.RunError
	if !errors.As(err, &failure) || failure.Node != "item" || failure.Type != "get_list_item" {
		t.Fatalf("%#v is no RunError of the node item", err)
	}
	checkError(t, failure.Err, `input "index": 0 is outside of a list of 0`)
}

// Each request is answered when all of them are there.
func TestBlockingNodesOverlap(t *testing.T) {
	t.Parallel()
	const n = 5
	arrived, all := make(chan struct{}, n), make(chan struct{})
	go func() {
		for range n {
			<-arrived
		}
		close(all)
	}()
	host := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-all:
		case <-r.Context().Done():
		}
	})
	e := New(Options{AllowPrivateNetwork: true})
	id := save(t, e, `
		url: {type: input}
		a1: {type: api, inputs: {url: "{{ url.text }}"}}
		a2: {type: api, inputs: {url: "{{ url.text }}"}}
		a3: {type: api, inputs: {url: "{{ url.text }}"}}
		between: {type: text, inputs: {text: "{{ url.text }}"}}
		a4: {type: api, inputs: {url: "{{ between.text }}"}}
		a5: {type: api, inputs: {url: "{{ between.text }}"}}
		out: {type: output, inputs: {value: "{{ a1.output }}{{ a2.output }}{{ a3.output }}{{ a4.output }}{{ a5.output }}"}}
	`)
	h := start(t, e, id, runner.Inputs{"url": "http://" + host})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	status, err := e.Wait(ctx, h)
	if err != nil || status.State != runner.Succeeded {
		t.Errorf("%v, %v, %v; the requests did not overlap", status.State, status.Err, err)
		_ = e.Terminate(t.Context(), h)
	}
}

// The clock moves only while nothing can go on: two waits of an hour that do not
// overlap take two hours.
func TestWaitsOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		outputs, err := runNodes(t, `
			w1: {type: wait_node, inputs: {wait_time: 3600, wait_time_type: seconds}}
			w2: {type: wait_node, inputs: {wait_time: 3600, wait_time_type: seconds}}
			w3: {type: wait_node, inputs: {wait_time: 1, wait_time_type: seconds, dependencies: ["{{ w1.complete }}", "{{ w2.complete }}"]}}
			out: {type: output, inputs: {value: x, dependencies: ["{{ w3.complete }}"]}}
		`, nil)
		if took := time.Since(began); err != nil || took != time.Hour+time.Second {
			t.Errorf("%v, %v after %v; want 1h0m1s", outputs, err, took)
		}
	})
}

func TestFailureCancelsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		outputs, err := runNodes(t, `
			long: {type: wait_node, inputs: {wait_time: 3600, wait_time_type: seconds}}
			short: {type: wait_node, inputs: {wait_time: 1, wait_time_type: seconds}}
			bad: {type: get_list_item, inputs: {list: [], index: 0, dependencies: ["{{ short.complete }}"]}}
			never: {type: wait_node, inputs: {wait_time: 3600, wait_time_type: seconds, dependencies: ["{{ short.complete }}"]}}
			out: {type: output, inputs: {value: x, dependencies: ["{{ long.complete }}"]}}
		`, nil)
		checkError(t, err, `node bad (get_list_item): input "index": 0 is outside of a list of 0`)
		if took := time.Since(began); took != time.Second || outputs != nil {
			t.Errorf("%v after %v; want nothing after 1s", outputs, took)
		}
	})
}

// A node that was under way at a failure may still succeed; what it makes ready
// must not be begun, nor waited for.
func TestSuccessAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		id := save(t, e, `
			slow: {type: wait_node, inputs: {wait_time: 1, wait_time_type: seconds}}
			short: {type: wait_node, inputs: {wait_time: 1, wait_time_type: seconds}}
			bad: {type: get_list_item, inputs: {list: [], index: 0, dependencies: ["{{ short.complete }}"]}}
			beside: {type: text, inputs: {text: x, dependencies: ["{{ short.complete }}"]}}
			next: {type: text, inputs: {text: x, dependencies: ["{{ slow.complete }}"]}}
		`)
		inject(e, id, "slow", func(*call) error { time.Sleep(time.Minute); return nil }) // cannot be cancelled
		for _, name := range []string{"beside", "next"} {
			inject(e, id, name, func(*call) error { t.Errorf("%s was begun after the failure", name); return nil })
		}
		status, err := e.Wait(t.Context(), start(t, e, id, nil))
		if err != nil || status.State != runner.Failed {
			t.Errorf("%v, %v; want failed", status, err)
		}
		checkError(t, status.Err, `node bad (get_list_item): input "index": 0 is outside of a list of 0`)
	})
}
