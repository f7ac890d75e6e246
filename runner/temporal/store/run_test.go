package store

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/spec"
)

func TestBundle(t *testing.T) {
	s := open(t)
	b := &spec.Bundle{Path: "/a/batch.yaml", Files: map[string][]byte{"/a/batch.yaml": []byte("version: 1\n\xff")}, Set: []string{"a=b"}, Variables: map[string]string{"X": "1"}, Secrets: []string{"KEY"}}
	key, err := s.PutBundle(t.Context(), b)
	fine(t, err)
	want(t, "key", key, "specs/"+b.Digest()+".json")
	before := tree(t, s.String())
	again, err := s.PutBundle(t.Context(), b)
	fine(t, err)
	want(t, "key", again, key)
	want(t, "files", tree(t, s.String()), before)
	read, err := s.Bundle(t.Context(), key)
	fine(t, err)
	want(t, "bundle", read, b)
}

func TestPass(t *testing.T) {
	s := open(t)
	var before runner.Tally
	l := result("i1", 1234*time.Millisecond).Line()
	before.Add(&l)
	p := Pass{
		Bundle: "specs/a.json", Batch: "b", Generation: "g", Pipeline: "d", Rows: -1, Concurrency: 2, Window: 3,
		Deadline: time.Unix(9, 5).UTC(), AnswersSince: time.Unix(8, 0).UTC(), Before: &before, GoneFailed: 4, Cluster: "namespace n at a:1",
	}
	w := s.PassWriter(t.Context(), passKey, 200)
	fine(t, w.Add(t.Context(), Item{ID: "a"}))
	fine(t, w.Close(t.Context(), p))
	p.Items, p.Shards = 1, 1
	read, err := s.Pass(t.Context(), passKey)
	fine(t, err)
	want(t, "pass", asJSON(t, read), asJSON(t, p))
	want(t, "before", read.Before.Max(), 1234*time.Millisecond)
	read.Before, p.Before = nil, nil
	want(t, "pass", read, &p)
}

// TestRunsAsTheyWere keeps runs and their ends, and reads the same.
func TestRunsAsTheyWere(t *testing.T) {
	s := open(t)
	object := rapid.OneOf(objectsOfValues(), rapid.Just[map[string]any](nil))
	rapid.Check(t, func(rt *rapid.T) {
		key := RunKey(rapid.StringMatching(`run-[a-z/]{1,8}`).Draw(rt, "id"))
		run := &Run{
			"specs/a.json", "d", "local:p", object.Draw(rt, "inputs"),
			runner.StartOptions{TraceID: rapid.String().Draw(rt, "trace"), SessionID: "s", NodeInputOverrides: object.Draw(rt, "overrides"), Version: "v", AnswersSince: time.Unix(1, 2).UTC()},
			time.Duration(rapid.Int64().Draw(rt, "timeout")), rapid.Bool().Draw(rt, "files"),
		}
		end := &RunEnd{
			runner.Failed, object.Draw(rt, "outputs"), &runner.ErrorInfo{Class: "run_failed", Message: rapid.String().Draw(rt, "message"), StatusCode: 500, Node: "n"}, "llm",
			&runner.Usage{USD: rapid.Float64().Draw(rt, "usd"), Cached: true},
		}
		if rapid.Bool().Draw(rt, "succeeded") {
			end.State, end.Error, end.Usage = runner.Succeeded, nil, nil
		}
		fine(t, s.PutRun(t.Context(), key, run))
		fine(t, s.PutRunEnd(t.Context(), key, end))
		readRun, err := s.Run(t.Context(), key)
		fine(t, err)
		readEnd, err := s.RunEnd(t.Context(), key)
		fine(t, err)
		if diff := cmp.Diff(run, readRun) + cmp.Diff(end, readEnd); diff != "" {
			rt.Fatalf("(-put +read):\n%s", diff)
		}
		fine(t, s.Forget(t.Context(), key))
	})
}

func TestUnusualValues(t *testing.T) {
	s := open(t)
	says(t, "run", s.PutRun(t.Context(), "runs/r", &Run{Inputs: map[string]any{"x": json.Number("1.")}}), "store "+s.String()+": cannot write runs/r/start.json")
}

// FuzzObjects reads what is no object.
func FuzzObjects(f *testing.F) {
	for _, text := range []string{`{}`, `null`, `[]`, `{"inputs":[1],"outputs":1}`, `{"before":{"durations":{"buckets":{"-1":2}}}}`, `{"files":{"a":"%"}}`, `{"inputs":{"a":1e999}}`, `{"deadline":"x"}`} {
		f.Add([]byte(text))
	}
	s := inMemory()
	f.Fuzz(func(t *testing.T, text []byte) {
		ctx := t.Context()
		readers := map[string]func() error{
			"specs/a.json":          func() error { _, err := s.Bundle(ctx, "specs/a.json"); return err },
			passObject(passKey):     func() error { _, err := s.Pass(ctx, passKey); return err },
			startObject("runs/run"): func() error { _, err := s.Run(ctx, "runs/run"); return err },
			endObject("runs/run"):   func() error { _, err := s.RunEnd(ctx, "runs/run"); return err },
		}
		for _, key := range slices.Sorted(maps.Keys(readers)) {
			fine(t, s.put(ctx, key, text))
			if err := readers[key](); err != nil {
				says(t, key, err, "store "+s.String()+": "+key+" is damaged, or of another version of nightshift")
			}
		}
	})
}
