package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/spec"
)

const manyInputs = `version: 1
pipeline:
  name: many
  nodes:
    text: {type: input, inputs: {use_default_value: true, default_value: x}}
    count: {type: input, inputs: {input_type: int32, use_default_value: true, default_value: 1}}
    yes: {type: input, inputs: {input_type: bool, use_default_value: true, default_value: false}}
    list: {type: input, inputs: {input_type: vec<string>, use_default_value: true, default_value: []}}
    doc: {type: input, inputs: {input_type: file, use_default_value: true, default_value: ""}}
    docs: {type: input, inputs: {input_type: vec<file>, use_default_value: true, default_value: []}}
    sound: {type: input, inputs: {input_type: audio, use_default_value: true, default_value: ""}}
    picture: {type: input, inputs: {input_type: image}}
    out: {type: output, inputs: {value: "{{ text.text }}"}}
batches:
  b: {inputs: [{picture: a.png}]}
run: {backend: vectorshift}
`

func TestGivenInputs(t *testing.T) {
	file, problems := spec.Parse("batch.yaml", []byte(manyInputs), spec.Options{})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatal(errs)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	asFile := func(name string) map[string]any { return map[string]any{"file": at(name)} }
	saved := &spec.Pipeline{Name: "saved"}
	for _, test := range []struct {
		flags   string // separated by |
		p       *spec.Pipeline
		asFiles bool
		want    any // inputs, or the error
	}{
		{"picture=a.png|text=a=b", file.Pipeline, false, map[string]any{"picture": at("a.png"), "text": "a=b"}},
		{"picture=a.png|doc=a.pdf|docs=[\"b\", \"/c\"]|sound=d", file.Pipeline, false, map[string]any{"picture": at("a.png"), "doc": "a.pdf", "docs": []any{"b", "/c"}, "sound": "d"}},
		{"picture=a.png|doc=../a.pdf|docs=[\"b\", \"/c\"]|sound=d", file.Pipeline, true, map[string]any{
			"picture": asFile("a.png"), "doc": asFile("../a.pdf"), "docs": []any{asFile("b"), map[string]any{"file": "/c"}}, "sound": asFile("d"),
		}},
		{"picture=https://x/y.png|count= 07|yes=True|list=[\"a\"]", file.Pipeline, true, map[string]any{"picture": "https://x/y.png", "count": json.Number("7"), "yes": true, "list": []any{"a"}}},
		{"picture=", file.Pipeline, true, "--input picture: it is empty, but must be the path of a file"},
		{"picture=", file.Pipeline, false, map[string]any{"picture": ""}},
		{"picture=a|count=two", file.Pipeline, true, `--input count: "two" is not a number`},
		{"picture=a|list=x", file.Pipeline, true, "--input list: not a list"},
		{"picture=a|pictur=b", file.Pipeline, true, `did you mean "picture"`},
		{"", file.Pipeline, true, "input picture is missing"},
		{"picture", file.Pipeline, true, "not of the form name=value"},
		{"=a", file.Pipeline, true, "not of the form name=value"},
		{"a=1|a=2", saved, true, "--input a is given twice"},
		{"a=1|b.c=x.png", saved, true, map[string]any{"a": "1", "b.c": "x.png"}},
		{"", saved, true, map[string]any{}},
		{"a=1", &spec.Pipeline{Nodes: []*spec.Node{{Name: "n", Type: "text"}}}, true, "--input a: the pipeline has no inputs"},
	} {
		o := inputOptions{}
		if test.flags != "" {
			o.inputs = strings.Split(test.flags, "|")
		}
		got, err := o.given(test.p, test.asFiles)
		if wanted, fails := test.want.(string); fails {
			if err == nil || !strings.Contains(err.Error(), wanted) {
				t.Errorf("%q: error %v, want %s", test.flags, err, wanted)
			}
			continue
		}
		for name, v := range got { // .. is dealt with by filepath.Abs
			if m, ok := v.(map[string]any); ok && name == "doc" && m["file"] == filepath.Join(filepath.Dir(dir), "a.pdf") {
				got[name] = asFile("../a.pdf")
			}
		}
		if diff := cmp.Diff(test.want, any(got)); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", test.flags, err, diff)
		}
	}
}

// TestHostedStartWithAFile: the file is sent along, wherever the batch file stands.
func TestHostedStartWithAFile(t *testing.T) {
	b := &begunRuns{T: t, dir: t.TempDir()}
	s := newScriptedPlatform(vectorshifttest.Settings{})
	t.Cleanup(s.Close)
	t.Setenv("VECTORSHIFT_API_KEY", s.Key)
	t.Setenv("VECTORSHIFT_BASE_URL", s.URL)
	t.Setenv("NIGHTSHIFT_STATE", "")
	b.write("batch.yaml", manyInputs)
	here := t.TempDir()
	t.Chdir(here)
	if err := os.WriteFile("a.png", []byte("a picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, here, "", nil, "start", filepath.Join(b.dir, "batch.yaml"), "-i", "picture=a.png", "-i", "count=3")
	p.ends(exitOK)
	inputs := s.Runs()[0].Inputs
	picture, _ := inputs["picture"].(map[string]any)
	metadata, _ := picture["metadata"].(map[string]any)
	if picture["type"] != "file" || picture["raw_bytes"] != "YSBwaWN0dXJl" || metadata["name"] != "a.png" {
		t.Errorf("the picture was sent as %v", picture)
	}
	if n, ok := inputs["count"].(json.Number); !ok || n != "3" {
		t.Errorf("the count was sent as %v", inputs["count"])
	}
	p = startProcess(t, here, "", nil, "start", filepath.Join(b.dir, "batch.yaml"), "-i", "picture=none.png")
	p.ends(exitUsage, "none.png")
}
