package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/runner/engine"
	"nightshift/spec"
)

// kept is the Recorder of a batch whose results are looked at.
type kept struct{ all []*runner.Result }

func (k *kept) Record(result *runner.Result) { k.all = append(k.all, result) }
func (k *kept) Commit() (int, error)         { return 1000, nil }

// TestRehearsedPlatform: a batch of the hosted platform takes as long as its calls,
// and its runs end as they would.
func TestRehearsedPlatform(t *testing.T) {
	for name, c := range map[string]struct {
		how         spec.Rehearse
		edit        func(p *runner.Plan)
		items       int
		status      runner.State
		least, most time.Duration
	}{
		"a start and at least a look each": {spec.Rehearse{Latency: 2 * time.Second}, nil, 30, runner.Succeeded, time.Minute - time.Second, 90 * time.Second},
		"any number of calls":              {spec.Rehearse{Latency: 2 * time.Second}, func(p *runner.Plan) { p.Rate = 0 }, 30, runner.Succeeded, 8 * time.Second, 30 * time.Second},
		"refused calls are made again":     {spec.Rehearse{Latency: time.Second, Failures: 0.3}, func(p *runner.Plan) { p.Retry.MaxAttempts = 30 }, 30, runner.Succeeded, time.Minute - time.Second, 5 * time.Minute},
		"runs that take too long":          {spec.Rehearse{Latency: time.Hour}, func(p *runner.Plan) { p.Timeout = 3 * time.Second }, 4, runner.TimedOut, 3 * time.Second, time.Minute},
		"suspended for too long":           {spec.Rehearse{Latency: time.Second, Failures: 1}, func(p *runner.Plan) { p.Retry.MaxAttempts = 2 }, 1, runner.Failed, time.Second, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var text strings.Builder
				text.WriteString(`
version: 1
pipeline:
  name: p
  nodes:
    in: {type: input}
    one: {type: llm, inputs: {provider: openai, model: m, prompt: "{{ in.text }}"}}
    out: {type: output, inputs: {value: "{{ one.response }}"}}
batches:
  b:
    inputs:
`)
				for i := range c.items {
					fmt.Fprintf(&text, "      - in: item %d\n", i)
				}
				file, problems := spec.Parse("batch.yaml", []byte(text.String()), spec.Options{Env: func(string) (string, bool) { return "", false }})
				if errs, _ := problems.Split(); len(errs) > 0 {
					t.Fatal(errs)
				}
				backend := newPolled(engine.New(engine.Options{Env: func(string) (string, bool) { return "", false }, Rehearse: &c.how}))
				saved, err := backend.Save(t.Context(), file.Pipeline, runner.SaveOptions{})
				if err != nil {
					t.Fatal(err)
				}
				plan := &runner.Plan{
					Batch: file.Batches[0], PipelineID: saved.PipelineID, Generation: "g", Total: -1, Rows: -1, Concurrency: 8,
					PollInterval: time.Second, Rate: 60, Retry: file.Run.Retry, Redactor: file.Redactor,
				}
				if c.edit != nil {
					c.edit(plan)
				}
				began, results := time.Now(), &kept{}
				if _, err := runner.Run(t.Context(), plan, backend, results); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < c.least || took > c.most {
					t.Errorf("it took %v, not from %v to %v", took, c.least, c.most)
				}
				if len(results.all) != c.items {
					t.Errorf("%d results", len(results.all))
				}
				for _, r := range results.all {
					if r.Status != c.status {
						t.Errorf("%s: %s: %+v", r.ID, r.Status, r.Error)
					}
				}
				if left := len(backend.(*polled).runs); left > 0 {
					t.Errorf("%d runs are still remembered", left)
				}
			})
		})
	}
}

// TestRehearsedPlatformEnds: runs that are at work end with the batch.
func TestRehearsedPlatformEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		none := func(string) (string, bool) { return "", false }
		file, _ := spec.Parse("batch.yaml", []byte(`
version: 1
pipeline: {name: p, nodes: {in: {type: input}, one: {type: llm, inputs: {provider: openai, model: m, prompt: "{{ in.text }}"}}, out: {type: output, inputs: {value: "{{ one.response }}"}}}}
batches: {b: {inputs: [{in: a}, {in: b}]}}
`), spec.Options{Env: none})
		backend := newPolled(engine.New(engine.Options{Env: none, Rehearse: &spec.Rehearse{Latency: time.Hour}}))
		saved, err := backend.Save(t.Context(), file.Pipeline, runner.SaveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		outcome, err := runner.Run(ctx, &runner.Plan{
			Batch: file.Batches[0], PipelineID: saved.PipelineID, Generation: "g", Total: -1, Rows: -1, Concurrency: 8,
			PollInterval: time.Second, Retry: file.Run.Retry, Redactor: file.Redactor,
		}, backend, &kept{})
		if err != nil || outcome.Stopped != runner.Interrupted || outcome.Interrupted != 2 || outcome.Detached != 0 {
			t.Errorf("%+v, %v", outcome, err)
		}
	})
}

// TestSamePath: two paths to one file are found to be one, whatever is there.
func TestSamePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.MkdirAll("results/deep", 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"folder": "results", "whole": filepath.Join(dir, "results"), "dangling": "results/b.jsonl", "twice": "dangling", "down": "results/deep", "round": "round", "day": "results/2020-02-03.jsonl"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	const dated, inDated = "results/{{ date }}.jsonl", "results/{{ date }}/b.jsonl"
	for _, c := range []struct {
		path, other string
		same        bool
	}{
		{"results/b.jsonl", "results/b.jsonl", true}, {"./results//deep/../b.jsonl", "results/b.jsonl", true}, {"results/c.jsonl", "results/b.jsonl", false},
		{"folder/b.jsonl", "results/b.jsonl", true}, {"whole/b.jsonl", "folder/b.jsonl", true}, {"results/b.jsonl", "whole/b.jsonl", true},
		{"dangling", "results/b.jsonl", true}, {"twice", "folder/b.jsonl", true}, {"down/../b.jsonl", "results/b.jsonl", true}, {"down/../b.jsonl", "b.jsonl", false},
		{"folder/new/b.jsonl", "results/new/b.jsonl", true}, {"round", "results/b.jsonl", false}, {"round", "round", true},
		{"results/2020-01-07.jsonl", dated, true}, {"folder/2020-01-07.jsonl", dated, true}, {"day", dated, true}, {"results/2020-01-07.rehearsal.jsonl", dated, false},
		{"results/2020-01-07/b.jsonl", inDated, true}, {"results/2020-01-07xjsonl", dated, false}, {"results/x2020-01-07.jsonl", dated, false},
	} {
		if got := samePath(c.path, []string{"elsewhere", c.other}); (got == c.other) != c.same || !c.same && got != "" {
			t.Errorf("%s and %s: %q", c.path, c.other, got)
		}
	}
}
