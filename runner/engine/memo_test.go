package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
)

// keepsX answers as if the condition were to hold an x.
func keepsX(_ int, q question) reply {
	return reply{text: fmt.Sprintf(`{"meets": %v}`, strings.Contains(q.says("user"), "x"))}
}

// filterNodes filters a list by a model.
const filterNodes = `
	given: {type: input}
	v: {type: read_json_values, inputs: {json_string: "{{ given.text }}", keys: [a], processed_outputs: {a: any}}}
	n: {type: ai_filter_list, inputs: {provider: openai, model: gpt-4o, ai_condition: "holds an x", list_to_filter: "{{ v.a }}"}}
	out: {type: output, inputs: {output_type: json, value: "{{ n.output }}"}}
`

// given is a list of items with the numbers from 0, as inputs of filterNodes.
func given(n int) runner.Inputs {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(`"x%d"`, i))
	}
	return runner.Inputs{"given": `{"a": [` + strings.Join(items, ",") + `]}`}
}

// What was answered before a refusal is not asked again, although no answers are
// kept.
func TestAnswersOfASuspendedNode(t *testing.T) {
	t.Parallel()
	const n = 40
	refused := map[string]bool{"x3": true, "x17": true}
	var mu sync.Mutex
	times := map[string]int{} // how often an item was asked about
	m := newModel(t, func(_ int, q question) reply {
		item := strings.Split(q.says("user"), "\n")[1]
		mu.Lock()
		defer mu.Unlock()
		times[item]++
		if refused[item] && times[item] == 1 {
			return reply{status: 429}
		}
		return keepsX(0, q)
	})
	e := m.engine(t, Options{})
	h := start(t, e, save(t, e, filterNodes), given(n))
	first := wait(t, e, h)
	if first.Suspended == nil || first.Usage.OutputTokens != 5*(n-2) {
		t.Fatalf("status %+v, usage %+v; want suspended, and the other %d paid for", first, first.Usage, n-2)
	}
	if at := first.Suspended.Errs[0].Error(); !strings.HasPrefix(at, "node n (ai_filter_list): element 3: ") && !strings.HasPrefix(at, "node n (ai_filter_list): element 17: ") {
		t.Errorf("suspended by %v", at)
	}
	second := resume(t, e, h)
	if second.Err != nil || second.Usage.OutputTokens != 5*n {
		t.Fatalf("status %+v, usage %+v", second, second.Usage)
	}
	if kept := second.Outputs["out"].([]any); len(kept) != n || kept[0] != "x0" || kept[n-1] != fmt.Sprintf("x%d", n-1) {
		t.Errorf("output %v", kept)
	}
	for i := range n {
		item, want := fmt.Sprintf("x%d", i), 1
		if refused[item] {
			want = 2
		}
		same(t, "requests for "+item, times[item], want)
	}
}

// Another run of the same pipeline knows nothing of it.
func TestMemoIsOfOneRun(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	m := newModel(t, func(_ int, q question) reply {
		if down.Load() && strings.Contains(q.says("user"), "x1") {
			return reply{status: 429}
		}
		return reply{text: fmt.Sprintf(`{"meets": %v}`, !down.Load())}
	})
	e := m.engine(t, Options{})
	id := save(t, e, filterNodes)
	down.Store(true)
	one := start(t, e, id, given(2))
	if status := wait(t, e, one); status.Suspended == nil {
		t.Fatalf("status %+v", status)
	}
	down.Store(false)
	if status := wait(t, e, start(t, e, id, given(2))); len(status.Outputs["out"].([]any)) != 2 {
		t.Errorf("the other run: %+v", status)
	}
	if status := resume(t, e, one); len(status.Outputs["out"].([]any)) != 1 {
		t.Errorf("the resumed run: %+v", status)
	}
}

// Where nobody answers, or an answer is of no use, not all others are tried.
func TestEachEndsEarly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		bad       reply
		suspended bool
	}{
		{"no connection", reply{breaks: true}, true},
		{"out of order", reply{status: 503}, true},
		{"denied", reply{status: 401}, false},
		{"a bad answer", reply{text: "no"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, func(int, question) reply { return c.bad })
			e := m.engine(t, Options{})
			status := wait(t, e, start(t, e, save(t, e, filterNodes), given(500)))
			if (status.Suspended != nil) != c.suspended || (status.Err != nil) == c.suspended {
				t.Errorf("status %+v", status)
			}
			if n := len(m.questions()); n > 2*atOnce {
				t.Errorf("%d requests were made", n)
			}
		})
	}
}

// Trouble that is not all the time does not end it: every pass gets on.
func TestEachGetsOn(t *testing.T) {
	t.Parallel()
	const n = 300
	for name, bad := range map[string]reply{"out of order": {status: 503}, "no connection": {breaks: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, func(i int, q question) reply {
				if i%20 == 0 {
					return bad
				}
				return keepsX(i, q)
			})
			e := m.engine(t, Options{})
			h := start(t, e, save(t, e, filterNodes), given(n))
			if status := wait(t, e, h); status.Suspended == nil {
				t.Fatalf("status %+v", status)
			}
			same(t, "requests of the first pass", len(m.questions()), n)
			resumes := 0
			for status := resume(t, e, h); status.Suspended != nil; status = resume(t, e, h) {
				resumes++
			}
			if resumes > 2 {
				t.Errorf("resumed %d times", resumes)
			}
		})
	}
}

// A storm of refusals ends the asking, too: the limiter holds the others back.
func TestEachInAStorm(t *testing.T) {
	t.Parallel()
	m := newModel(t, func(int, question) reply { return reply{status: 429} })
	e := m.engine(t, Options{})
	status := wait(t, e, start(t, e, save(t, e, filterNodes), given(500)))
	api, ok := errors.AsType[*runner.APIError](status.Suspended.Errs[0])
	if !ok || !api.Refused() {
		t.Errorf("suspended by %v; want the refusal, not who was held back by it", status.Suspended.Errs[0])
	}
	if n := len(m.questions()); n > 50 {
		t.Errorf("%d requests were made", n)
	}
}

func TestEachAtOnce(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	full := make(chan struct{}) // closed when as many as may be are under way
	once := sync.OnceFunc(func() { close(full) })
	m := newModel(t, func(_ int, q question) reply {
		n := now.Add(1)
		defer now.Add(-1)
		most.Store(max(most.Load(), n))
		if n == atOnce {
			once()
		}
		select {
		case <-full:
		case <-time.After(10 * time.Second):
		}
		return keepsX(0, q)
	})
	if status := runToEnd(t, m.engine(t, Options{}), filterNodes, given(100)); status.Err != nil {
		t.Fatal(status.Err)
	}
	same(t, "most requests under way", most.Load(), int64(atOnce))
}

// A run that is terminated ends, however many items are still to be judged.
func TestTerminateWhileItemsAreJudged(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1000)
	stay := make(chan struct{})
	m := newModel(t, func(int, question) reply {
		asked <- struct{}{}
		<-stay
		return reply{text: `{"meets": true}`}
	})
	t.Cleanup(func() { close(stay) }) // before the server closes, which waits
	e := m.engine(t, Options{})
	h := start(t, e, save(t, e, filterNodes), given(100))
	<-asked
	if err := e.Terminate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	same(t, "state", wait(t, e, h).State, runner.Cancelled)
}

// Whatever is refused, and when: each piece of work succeeds once, in its place.
func TestEachProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "n")
		refusals := rapid.SliceOfN(rapid.IntRange(0, 3), n, n).Draw(t, "refusals of each")
		kinds := []error{
			&runner.APIError{StatusCode: 429}, &runner.APIError{StatusCode: 503}, &runner.HeldBack{For: time.Second}, &runner.ConnectionError{Err: errors.New("x")},
		}
		kind := rapid.SliceOfN(rapid.IntRange(0, len(kinds)-1), n, n).Draw(t, "how they are refused")
		r, kept := &run{}, make([]any, 1)
		var mu sync.Mutex
		done := map[int]int{}
		for calls := 0; ; calls++ {
			c := &call{ctx: context.Background(), run: r, kept: kept}
			before := len(done)
			got, err := each(c, 0, n, func(c *call, i int) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				if refusals[i] > 0 {
					refusals[i]--
					return 0, kinds[kind[i]]
				}
				done[i]++
				c.usage = c.usage.Add(runner.Usage{OutputTokens: 1})
				return i * i, nil
			})
			switch paid := int64(len(done) - before); {
			case paid > 0 && (c.usage == nil || c.usage.OutputTokens != paid), paid == 0 && c.usage != nil:
				t.Fatalf("usage %+v for %d answers", c.usage, paid)
			case err != nil && !passes(err):
				t.Fatalf("error %v", err)
			case err != nil && calls > 3*n:
				t.Fatalf("refused %d times", calls)
			case err != nil:
				continue
			}
			for i, v := range got {
				if v != i*i {
					t.Fatalf("result %d is %d", i, v)
				}
			}
			if len(got) != n || len(done) != n || slices.ContainsFunc(slices.Collect(maps.Values(done)), func(n int) bool { return n != 1 }) {
				t.Fatalf("%d results of %d; done: %v", len(got), n, done)
			}
			return
		}
	})
}

// A bug in the work on one item is an error of the node, not the end of all.
func TestEachPanics(t *testing.T) {
	t.Parallel()
	var log []string
	c := &call{ctx: t.Context(), node: &node{name: "n", typ: "x"}, kept: make([]any, 1), run: &run{log: func(m string) { log = append(log, m) }}}
	_, err := each(c, 0, 3, func(_ *call, i int) (int, error) {
		if i == 1 {
			panic("oh")
		}
		return 0, nil
	})
	if err == nil || !strings.HasPrefix(err.Error(), "element 1: panicked: oh (in nightshift/runner/engine.TestEachPanics") {
		t.Errorf("error: %v", err)
	}
	if len(log) != 1 || !strings.HasPrefix(log[0], "node n (x) panicked: oh (in ") {
		t.Errorf("log: %q", log)
	}
}

// Where the list is another one after a pause, all of it is worked on anew.
func TestEachOfAnotherLength(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 5} {
		c := &call{ctx: t.Context(), node: &node{}, kept: make([]any, 1), run: &run{log: func(m string) { t.Log(m) }}}
		work := func(size int) func(*call, int) (int, error) {
			return func(_ *call, i int) (int, error) {
				if size == 3 && i == 1 {
					return 0, &runner.APIError{StatusCode: 429}
				}
				return size, nil
			}
		}
		if _, err := each(c, 0, 3, work(3)); !passes(err) {
			t.Fatal(err)
		}
		got, err := each(c, 0, n, work(-1))
		if err != nil || len(got) != n || slices.ContainsFunc(got, func(v int) bool { return v != -1 }) {
			t.Errorf("%d: %v, %v", n, got, err)
		}
	}
}

// Of several errors that of the first element is told, however late it comes, but not
// the end of calls that were cancelled for another.
func TestErrorOfTheFirstElement(t *testing.T) {
	for name, failure := range map[string]error{"bad answers": &llm.BadAnswer{Err: errors.New("x")}, "others": errors.New("x")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &call{ctx: t.Context(), node: &node{}, kept: make([]any, 1), run: &run{}}
				_, err := each(c, 0, 100, func(c *call, i int) (int, error) {
					time.Sleep(time.Duration(10-i) * time.Second)
					switch i {
					case 0:
						return 0, c.ctx.Err()
					case 1:
						return 0, &runner.APIError{StatusCode: 429}
					}
					return 0, failure
				})
				checkError(t, err, "element 2: "+failure.Error())
			})
		})
	}
}

// After an answer of no use nothing is begun, in the pipelines of the elements neither,
// but what is under way is paid for, and so it ends.
func TestAnswersBesideAFailure(t *testing.T) {
	t.Parallel()
	m := newModel(t, always("A"))
	p, problems := m.engine(t, Options{}).compile(parsePipeline(t, `
		one: {type: llm, inputs: {provider: openai, model: gpt-4o, prompt: x}}
		out: {type: output, inputs: {value: "{{ one.response }}"}}
	`))
	if problems != nil {
		t.Fatal(problems)
	}
	r, err := newRun(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	var begun sync.WaitGroup
	begun.Add(atOnce)
	var works atomic.Int64
	c := &call{ctx: t.Context(), node: &node{}, kept: make([]any, 1), run: r}
	_, err = each(c, 0, 100, func(c *call, i int) (int, error) {
		works.Add(1)
		begun.Done()
		begun.Wait()
		c.usage = c.usage.Add(runner.Usage{OutputTokens: 1})
		if i == 3 {
			return 0, &llm.BadAnswer{Err: errors.New("x")}
		}
		<-c.begin.Done()
		c.element = true
		c.kept = make([]any, 1)
		if _, err := eachBy(c, nil, 0, 1, func(*call, int) (int, error) { works.Add(1); return 0, nil }); !errors.Is(err, errStopped) {
			t.Errorf("more was begun: %v", err)
		}
		sub, err := c.run.inner(func(r *run) (*program, *run, error) { return p, r, nil }, nil)
		if err != nil {
			return 0, err
		}
		if status, err := sub.within(c); !errors.Is(err, errStopped) || status.State != runner.Failed {
			t.Errorf("%+v, %v", status, err)
		}
		return 0, c.ctx.Err()
	})
	checkError(t, err, "element 3: the model's answer is of no use: x")
	same(t, "works", works.Load(), int64(atOnce))
	same(t, "usage", c.usage.OutputTokens, int64(atOnce))
	same(t, "requests", len(m.questions()), 0)
}
