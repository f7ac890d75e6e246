package runner

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"nightshift/spec"
)

func finishedEvent(id string) Event { return Event{Kind: Finished, ID: id, Result: &Result{ID: id}} }

// TestResultsThatArriveTogetherAreCommittedTogether holds the first Commit up
// while others arrive.
func TestResultsThatArriveTogetherAreCommittedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{block: make(chan struct{})}
		s := newStream(m, nil, []Sink{m}, func(err error) { t.Error(err) })
		for i := range 101 {
			s.send(sentEvent{Event: finishedEvent(fmt.Sprint(i))})
			synctest.Wait() // the first one is at Commit, or the others are queued
		}
		m.block <- struct{}{}
		synctest.Wait()
		want(t, "commits", m.commits, []int{1})
		want(t, "events of what was committed", len(m.events), 1)
		m.block <- struct{}{}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		want(t, "commits", m.commits, []int{1, 100})
		for i, e := range m.events {
			if e.ID != fmt.Sprint(i) {
				t.Fatalf("event %d is that of item %s", i, e.ID)
			}
		}
	})
}

func TestCommitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{block: make(chan struct{})}
		s := newStream(m, nil, nil, func(err error) { t.Error(err) })
		go func() {
			for i := range 2 * maxCommit {
				s.send(sentEvent{Event: finishedEvent(fmt.Sprint(i))})
			}
		}()
		synctest.Wait()
		close(m.block)
		synctest.Wait()
		_ = s.close()
		want(t, "results", len(m.results), 2*maxCommit)
		for _, n := range m.commits {
			if n > maxCommit {
				t.Errorf("%d results in one commit", n)
			}
		}
	})
}

func TestNothingIsCommittedWithoutResults(t *testing.T) {
	m := &memory{}
	s := newStream(m, nil, []Sink{m}, func(err error) { t.Error(err) })
	s.send(sentEvent{Event: Event{Kind: Started, ID: "a"}})
	_ = s.close()
	want(t, "commits", len(m.commits), 0)
	want(t, "events", len(m.events), 1)
}

// fewLines is an output with room for so many lines, and half of another one.
type fewLines struct {
	smallOutput
	lines int
}

func (o *fewLines) Write(p []byte) (int, error) {
	n := 0
	for o.lines > 0 && n < len(p) {
		n += bytes.IndexByte(p[n:], '\n') + 1
		o.lines--
	}
	o.room = len(o.text) + n
	if n < len(p) {
		o.room += bytes.IndexByte(p[n:], '\n') / 2
	}
	return o.smallOutput.Write(p)
}

// witness checks that a result is in the output when it is told of.
type witness struct {
	*testing.T
	out  *fewLines
	seen []string
}

func (w *witness) Handle(e Event) {
	if e.Kind == Finished {
		w.seen = append(w.seen, e.Result.ID)
		if !strings.Contains(string(w.out.text), `{"id":"`+e.Result.ID+`",`) {
			w.Errorf("item %s is finished, but its line is not written", e.Result.ID)
		}
	}
}

// TestSinksSeeOnlyWhatWasWritten lets the output fill up after so many lines:
// as many items are told of, and the batch ends at once.
func TestSinksSeeOnlyWhatWasWritten(t *testing.T) {
	for _, lines := range []int{0, 1, 5, 19} {
		for name, pause := range map[string]string{"together": "10s", "one by one": "%ds"} {
			t.Run(fmt.Sprint(lines, " ", name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { fillUp(t, lines, pause) })
			})
		}
	}
}

func fillUp(t *testing.T, lines int, pause string) {
	items := []string{"z hang"}
	for i := range 20 {
		items = append(items, fmt.Sprintf("i%d %s", i, strings.ReplaceAll(pause, "%d", fmt.Sprint(i+1))))
	}
	plan := newPlan(t, append(items, "late 1s")...)
	plan.Concurrency = len(items)
	out := &fewLines{lines: lines}
	w := &witness{T: t, out: out}
	m := &memory{}
	backend := newFake(t)
	outcome, err := Run(t.Context(), plan, waiting{backend}, &ResultsFile{path: "out.jsonl", out: out}, w, m)
	if results, ok := errors.AsType[*ResultsError](err); !ok || results.Path != "out.jsonl" || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v", err)
	}
	want(t, "lines", idsIn(t, out.text), strings.Join(w.seen, " "))
	want(t, "finished", len(w.seen), lines)
	want(t, "counted", outcome.Total(), lines)
	want(t, "left", outcome.Left, true)
	if err := properOrder(m.events); err != nil {
		t.Error(err)
	}
	if terminated := strings.Join(backend.log("terminate"), " "); !strings.HasSuffix(terminated, " z") {
		t.Errorf("terminated: %s", terminated)
	}
	want(t, "runs that go on", backend.working, 0)
}

// TestSecretsReachNoSinkAndNoLine puts a secret everywhere where a run can put it.
func TestSecretsReachNoSinkAndNoLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := newPlan(t, "key-hunter2 1s park=1s", "b hunter2 1s", "c fail")
		plan.Redactor = spec.NewRedactor([]string{"hunter2", "it failed"})
		m := &memory{}
		if _, err := Run(t.Context(), plan, resuming{waiting{newFake(t)}}, m, m); err != nil {
			t.Fatal(err)
		}
		told := ""
		for _, e := range m.events {
			if e.Kind != Planned {
				told += fmt.Sprintf("%+v %+v\n", e, e.Result)
			}
			if e.Result != nil {
				told += string(e.Result.AppendJSON(nil))
			}
		}
		for _, r := range m.results {
			told += string(r.AppendJSON(nil))
		}
		for _, secret := range []string{"hunter2", "it failed"} {
			if strings.Contains(told, secret) {
				t.Errorf("the secret %q was told:\n%s", secret, told)
			}
		}
		if !strings.Contains(told, "key-[hidden]") {
			t.Errorf("nothing was told of the item:\n%s", told)
		}
	})
}
