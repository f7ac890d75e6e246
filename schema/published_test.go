package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v5"
	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// TestPublished: batch.schema.json is what this code says.
func TestPublished(t *testing.T) {
	got, err := os.ReadFile("batch.schema.json")
	if err != nil || !bytes.Equal(got, schema.BatchSchema()) {
		t.Errorf("schema/batch.schema.json is not up to date (%v); go run . schema > schema/batch.schema.json writes it", err)
	}
}

func published(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	if err := c.AddResource("batch.json", bytes.NewReader(schema.BatchSchema())); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("batch.json") // holds it against the metaschema
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func document(t *testing.T, path string) any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(raw, &v); err != nil { // resolves aliases and merges by itself
		t.Fatal(err)
	}
	text, err := json.Marshal(plain(v))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// plain makes keys text, as JSON wants them.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case map[any]any:
		m := map[string]any{}
		for k, item := range v {
			m[fmt.Sprint(k)] = plain(item)
		}
		return m
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

// TestBothAccept: the published schema and this program accept the corpus.
func TestBothAccept(t *testing.T) {
	s := published(t)
	valid, _ := filepath.Glob("../testdata/valid/*.yaml")
	examples, _ := filepath.Glob("../examples/*/*.yaml")
	single, _ := filepath.Glob("../examples/*.yaml")
	examples = slices.DeleteFunc(examples, func(path string) bool { // files of pipelines
		text, err := os.ReadFile(path)
		return err == nil && !strings.Contains("\n"+string(text), "\nversion:")
	})
	if len(valid) < 6 || len(examples) == 0 {
		t.Fatalf("%d valid files, %d examples", len(valid), len(examples))
	}
	for _, path := range slices.Concat(valid, examples, single) {
		if err := s.Validate(document(t, path)); err != nil {
			t.Errorf("the published schema rejects %s: %#v", path, err)
		}
	}
	for _, path := range valid {
		load(t, path)
	}
}

// TestBothReject: what is against the schema is refused by an editor too.
func TestBothReject(t *testing.T) {
	s := published(t)
	for name := range strings.FieldsSeq(`
		unknown-keys wrong-types wrong-types-top top-level-list top-level-text missing-required missing-required-inputs
		missing-conditional bad-enums bad-numbers bad-prices unknown-input version-2 no-batches bad-names pipeline-empty
		concurrency-too-big source-empty-text null-document many-problems batch-elements`) {
		path := filepath.Join("..", "testdata", "invalid", name+".yaml")
		if err := s.Validate(document(t, path)); err == nil {
			t.Errorf("the published schema accepts %s", path)
		}
	}
	for _, duration := range []string{"30 minutes", "6", "-5m", "1d", ""} {
		f := map[string]any{"version": 1, "pipeline": map[string]any{"name": "p"}, "batches": map[string]any{"b": map[string]any{}}, "run": map[string]any{"timeout": duration}}
		if err := s.Validate(f); err == nil {
			t.Errorf("the published schema accepts a timeout of %q", duration)
		}
		f["run"] = map[string]any{"timeout": "5m"}
		if err := s.Validate(f); err != nil {
			t.Errorf("%#v", err)
		}
	}
}

// TestResultSchema compiles the schema of a result line and holds lines against it.
func TestResultSchema(t *testing.T) {
	s := schema.ResultValidator()
	line := map[string]any{
		"id": "a", "batch": "b", "index": json.Number("0"), "generation": "g", "status": "failed", "inputs": nil, "input_digest": nil, "outputs": nil,
		"error":       map[string]any{"class": "invalid_input", "message": "m", "status_code": nil, "node": nil},
		"pipeline_id": nil, "task_id": nil, "trace_id": nil, "attempts": json.Number("0"), "started_at": nil, "finished_at": "2024-01-02T03:04:05Z",
		"duration_ms": json.Number("0"), "usage": nil, "possible_duplicate": false, "rehearsal": false,
	}
	if err := s.Validate(line); err != nil {
		t.Fatalf("%#v", err)
	}
	for key, bad := range map[string]any{"status": "running", "index": json.Number("-1"), "input_digest": "xyz", "id": "", "more": true} {
		was, had := line[key]
		line[key] = bad
		if err := s.Validate(line); err == nil {
			t.Errorf("%s: %v is accepted", key, bad)
		}
		if line[key] = was; !had {
			delete(line, key)
		}
	}
	if !json.Valid(schema.ResultSchema()) || cmp.Equal(schema.ResultSchema(), schema.BatchSchema()) {
		t.Error("the published schemas are no JSON, or the same")
	}
}
