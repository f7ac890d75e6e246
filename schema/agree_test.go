package schema_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nightshift/spec"
)

var plainFile = cmp.Options{
	cmpopts.IgnoreUnexported(spec.File{}, spec.Pipeline{}, spec.Node{}, spec.Batch{}, spec.Source{}),
	cmpopts.IgnoreFields(spec.File{}, "Redactor"),
}

func load(t *testing.T, path string) *spec.File {
	t.Helper()
	file, problems := spec.Load(path, spec.Options{Env: func(string) (string, bool) { return "", false }})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatal(errs.Error())
	}
	return file
}

// TestDecodedFile compares every field that a file with every key decodes into.
func TestDecodedFile(t *testing.T) {
	path := filepath.Join("..", "testdata", "valid", "everything.yaml")
	got := load(t, path)
	n := func(s string) json.Number { return json.Number(s) }
	want := &spec.File{
		Path: path,
		Pipeline: &spec.Pipeline{
			Name: "everything", Description: "all that can be said",
			Variables: map[string]any{"voice": "loud", "times": n("2")}, VariableNames: []string{"voice", "times"},
			Nodes: []*spec.Node{
				{Name: "topic", Type: "input", ExecutionMode: "normal", InputNames: []string{"input_type", "description"},
					Inputs: map[string]any{"input_type": "string", "description": "what to write about"}},
				{Name: "tone", Type: "input", ExecutionMode: "normal", InputNames: []string{"input_type", "use_default_value", "default_value"},
					Inputs: map[string]any{"input_type": "string", "use_default_value": true, "default_value": "dry"}},
				{Name: "count", Type: "input", ExecutionMode: "normal", InputNames: []string{"input_type", "use_default_value", "default_value"},
					Inputs: map[string]any{"input_type": "int32", "use_default_value": true, "default_value": n("3")}},
				{Name: "both", Type: "combine_text", ExecutionMode: "normal", InputNames: []string{"text"},
					Inputs: map[string]any{"text": []any{"{{ topic.text }}", ", ", "{{ tone.text }}"}}},
				{Name: "shout", Type: "text_formatter", ExecutionMode: "batch", InputNames: []string{"text", "formatter", "dependencies"},
					Inputs:       map[string]any{"text": "{{ both.processed_text }}", "formatter": "To Uppercase", "dependencies": []any{"{{ count.complete }}"}},
					CyclicInputs: map[string]any{"text": "{{ shout.output }}"}},
				{Name: "out", Type: "output", ExecutionMode: "normal", InputNames: []string{"output_type", "value"},
					Inputs: map[string]any{"output_type": "string", "value": "{{ shout.output }} {{ count.value }}"}},
			},
		},
		Batches: []*spec.Batch{
			{Name: "inline", SessionID: "nightly", Version: "7",
				NodeInputOverrides: map[string]any{"shout.formatter": "Trim Spaces", "both.text": []any{"a", "{{ topic.text }}"}}},
			{Name: "table", Source: spec.Source{Format: "csv"}, Map: map[string]any{"topic": "{{ row.topic }}!", "count": "{{ row.count }}"},
				Key: "{{ row.topic }}/{{ row.count }}"},
			{Name: "files", Map: map[string]any{"topic": "{{ row.text }}"}},
			{Name: "combined-1.x"},
		},
		Run: spec.Run{
			Backend: "temporal", Concurrency: 16, Timeout: 90 * time.Minute, Deadline: 6 * time.Hour, PollInterval: 500 * time.Millisecond,
			Retry: spec.Retry{MaxAttempts: 7, MaxElapsed: 20 * time.Minute, UnknownStart: "fail", FailedRuns: true,
				Backoff: spec.Backoff{Initial: 1500 * time.Millisecond, Factor: 1.5, Max: 90 * time.Second}},
			Rate:  spec.Rate{RequestsPerMinute: 250},
			Stop:  spec.Stop{FailureShare: 0.025, BudgetUSD: 20.5, BudgetTokens: 5_000_000},
			Cache: spec.Cache{Enabled: true, Path: "cache.db", TTL: 720 * time.Hour},
			Prices: map[string]spec.Price{
				"openai/gpt-5.1": {Input: 1.1, CachedInput: new(0.0), Output: 9}, "groq/openai/gpt-oss-120b": {Input: 0.15, Output: 0.6}, "my-own:7b": {},
			},
			Temporal: spec.Temporal{TaskQueue: "nights", ShardSize: 50, Store: "../store"},
		},
		Results:  "out/{{ date }}/{{ batch }}.jsonl",
		Rehearse: spec.Rehearse{Latency: 10 * time.Millisecond, P95: 40 * time.Millisecond, Failures: 0.5},
	}
	if diff := cmp.Diff(want, got, plainFile); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, rows := range map[string]int{"inline": 2, "table": 3, "files": 3, "combined-1.x": 6} {
		if scan := got.Batch(name).Scan(nil); scan.Rows != rows || scan.Bad > 0 {
			t.Errorf("batch %s: %d rows, %v", name, scan.Rows, scan.Problems)
		}
	}
}

// TestSmallestFile: what is left out is as in Defaults.
func TestSmallestFile(t *testing.T) {
	got := load(t, filepath.Join("..", "testdata", "valid", "smallest.yaml"))
	want := spec.Defaults()
	if diff := cmp.Diff(want.Run, got.Run); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if got.Results != want.Results || got.Rehearse != want.Rehearse {
		t.Errorf("results %q, rehearse %+v", got.Results, got.Rehearse)
	}
	saved := load(t, filepath.Join("..", "testdata", "valid", "saved-by-id.yaml"))
	if saved.Pipeline.ID != "65f0c0ffee" || saved.Pipeline.Nodes != nil || saved.Run.Stop.FailureCount != 3 || saved.Run.Cache.Enabled || saved.Run.Rate.RequestsPerMinute != 250 {
		t.Errorf("%+v", saved.Run)
	}
	if inner := load(t, filepath.Join("..", "testdata", "valid", "pipeline-file.yaml")).Pipeline; inner.Name != "renamed" || len(inner.Nodes) != 2 {
		t.Errorf("pipeline of a file: %+v", inner)
	}
}

func core(t *testing.T) map[string]any {
	t.Helper()
	raw, err := os.ReadFile("core.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var source map[string]any
	if err := json.Unmarshal(raw, &source); err != nil {
		t.Fatal(err)
	}
	return source
}

// leaves walks the keys of the batch file that hold no further keys, by their
// path in it; * stands for a name that the author chooses.
func leaves(root, s map[string]any, path string, visit func(path string, s map[string]any)) {
	merged := map[string]any{}
	if ref, ok := s["$ref"].(string); ok {
		maps.Copy(merged, root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any))
	}
	maps.Copy(merged, s)
	join := func(key string) string { return strings.TrimPrefix(path+"."+key, ".") }
	properties, _ := merged["properties"].(map[string]any)
	for key, value := range properties {
		leaves(root, value.(map[string]any), join(key), visit)
	}
	if more, ok := merged["additionalProperties"].(map[string]any); ok {
		leaves(root, more, join("*"), visit)
	} else if properties == nil || merged["default"] != nil {
		visit(path, merged)
	}
}

// TestDefaultsAgree: the schema's defaults are those of Defaults, and Defaults
// has none that the schema keeps to itself.
func TestDefaultsAgree(t *testing.T) {
	source := core(t)
	defaults := map[string]any{}
	leaves(source, source, "", func(path string, s map[string]any) {
		if v, ok := s["default"]; ok {
			defaults[path] = v
		}
	})
	if len(defaults) < 12 {
		t.Fatalf("only %d defaults: %v", len(defaults), defaults)
	}
	if mode := defaults["pipeline.nodes.*.execution_mode"]; mode != "normal" {
		t.Errorf("execution_mode: %v", mode)
	}
	delete(defaults, "pipeline.nodes.*.execution_mode")
	for path, value := range defaults { // setting a default changes nothing
		text, _ := json.Marshal(value)
		if f := with(t, path, string(text)); !cmp.Equal(spec.Defaults().Run, f.Run) || f.Results != spec.Defaults().Results || f.Rehearse != spec.Defaults().Rehearse {
			t.Errorf("the schema says that %s is %s; %s", path, text, cmp.Diff(spec.Defaults().Run, f.Run))
		}
	}
	for _, v := range []reflect.Value{reflect.ValueOf(spec.Defaults().Run), reflect.ValueOf(spec.Defaults().Rehearse)} {
		if n := nonZero(v); n > len(defaults) {
			t.Errorf("%d fields of Defaults, %d defaults in the schema", n, len(defaults))
		}
	}
	run := nonZero(reflect.ValueOf(spec.Defaults().Run)) + nonZero(reflect.ValueOf(spec.Defaults().Rehearse)) + 1
	zero := 2 // failed_runs: false, rehearse.failures: 0%
	if run+zero != len(defaults) {
		t.Errorf("%d defaults in the code, %d (%d of them zero) in the schema", run, len(defaults), zero)
	}
}

func nonZero(v reflect.Value) int {
	if v.Kind() != reflect.Struct {
		if v.IsZero() {
			return 0
		}
		return 1
	}
	n := 0
	for _, field := range v.Fields() {
		n += nonZero(field)
	}
	return n
}

// with sets one key of the smallest file.
func with(t *testing.T, path, value string) *spec.File {
	t.Helper()
	file, problems := spec.Load(filepath.Join("..", "testdata", "valid", "smallest.yaml"), spec.Options{Set: []string{path + "=" + value}})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatalf("%s=%s: %s", path, value, errs.Error())
	}
	return file
}

// TestEveryKeyIsDecoded sets each key of the schema to something else than its
// default, and looks whether the file is another one.
func TestEveryKeyIsDecoded(t *testing.T) {
	other := map[string]string{
		"version": "", "secrets": "", // nothing to see in the File
		"pipeline.id": "", "pipeline.file": "", "batches.*.from": "", "batches.*.matrix.*": "", // excluded by nodes and inputs: in the corpus
		"pipeline.nodes.*.type": "", "batches.*.inputs": "", "pipeline.nodes.*.inputs": "",
		"batches.*.format": "",
		"pipeline.name":    "other", "pipeline.description": "other", "pipeline.variables": "{tone: dry}",
		"pipeline.nodes.*.execution_mode":  "", // nothing for an input or an output: in the corpus
		"pipeline.nodes.*.cyclic_inputs.*": "", // must close a loop: in the corpus
		"batches.*.map":                    "{topic: x}", "batches.*.key": "'{{ row.topic }}'", "batches.*.session_id": "s", "batches.*.version": "'2'",
		"batches.*.node_input_overrides": "{out.value: x}",
		"run.backend":                    "temporal", "run.concurrency": "9", "run.timeout": "1s", "run.deadline": "1s", "run.poll_interval": "1s",
		"run.retry.max_attempts": "9", "run.retry.max_elapsed": "1s", "run.retry.unknown_start": "fail", "run.retry.failed_runs": "true",
		"run.retry.backoff.initial": "9s", "run.retry.backoff.factor": "9", "run.retry.backoff.max": "9s",
		"run.rate.requests_per_minute": "9", "run.stop.failures": "9%", "run.stop.budget.usd": "9", "run.stop.budget.tokens": "9",
		"run.cache": "false", "run.cache.path": "x", "run.cache.ttl": "1h",
		"run.prices.*.input": "", "run.prices.*.cached_input": "", "run.prices.*.output": "", // go together only: in the corpus
		"run.temporal.task_queue": "nights", "run.temporal.shard_size": "9", "run.temporal.store": "../store",
		"results.path": "x/{{ batch }}", "rehearse.latency": "9s", "rehearse.failures": "9%",
		"rehearse.latency.median": "", "rehearse.latency.p95": "", // go together only: in the corpus
	}
	source := core(t)
	base := with(t, "run.concurrency", "8")
	seen := map[string]bool{}
	leaves(source, source, "", func(path string, _ map[string]any) {
		seen[path] = true
		value, known := other[path]
		if !known {
			t.Errorf("%s is a new key: give it a value here", path)
		}
		if value == "" {
			return
		}
		set := strings.NewReplacer("nodes.*", "nodes.out", "batches.*", "batches.facts", "cyclic_inputs.*", "cyclic_inputs.value").Replace(path)
		if cmp.Equal(base, with(t, set, value), plainFile) {
			t.Errorf("%s: %s is not decoded", path, value)
		}
	})
	for path := range other {
		if !seen[path] {
			t.Errorf("%s is no key of the schema", path)
		}
	}
}
