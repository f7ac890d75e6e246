package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStateDir(t *testing.T) {
	none := lookupIn(nil)
	for results, wanted := range map[string]string{
		"":                                 "b/results/.nightshift", // the default
		"out/{{ date }}/{{ batch }}.jsonl": "b/out/.nightshift",
		"out/{{date}}.jsonl":               "b/out/.nightshift",
		"out/night-{{ date }}.jsonl":       "b/out/.nightshift",
		"a/b/c-{{ batch }}/{{ date }}":     "b/a/b/.nightshift",
		"{{ batch }}.jsonl":                "b/.nightshift",
		"{{ batch }}/{{ date }}.jsonl":     "b/.nightshift",
		"out/a.jsonl":                      "b/out/.nightshift",
		"a.jsonl":                          "b/.nightshift",
		"./a.jsonl":                        "b/.nightshift",
		"../a.jsonl":                       ".nightshift",
		"-":                                "b/.nightshift",
		"/dev/stdout":                      "b/.nightshift",
		"/dev/null":                        "b/.nightshift",
		"/var/out/{{ batch }}.jsonl":       "/var/out/.nightshift",
		"/{{ batch }}.jsonl":               "/.nightshift",
	} {
		text := oneInput + "batches: {b: {inputs: [{topic: a}]}}\n"
		if results != "" {
			text += "results: {path: '" + results + "'}\n"
		}
		f := parsed(t, "b", text, Options{})
		if got := f.StateDir(none); got != filepath.FromSlash(wanted) {
			t.Errorf("results.path %q: state in %s, wanted %s", results, got, wanted)
		}
		if got, wanted := f.CachePath(none), filepath.Join(filepath.FromSlash(wanted), "answers.db"); got != wanted {
			t.Errorf("results.path %q: answers in %s, wanted %s", results, got, wanted)
		}
	}
}

func TestStateDirOfTheEnvironment(t *testing.T) {
	f := parsed(t, "b", oneInput+"batches: {b: {inputs: [{topic: a}]}}\n", Options{})
	for value, wanted := range map[string]string{"state": "state", "/var/state": "/var/state", "": "b/results/.nightshift"} {
		env := lookupIn(map[string]string{"NIGHTSHIFT_STATE": value})
		if got := f.StateDir(env); got != filepath.FromSlash(wanted) {
			t.Errorf("NIGHTSHIFT_STATE=%s: state in %s, wanted %s", value, got, wanted)
		}
	}
	if got := f.CachePath(lookupIn(map[string]string{"NIGHTSHIFT_STATE": "state"})); got != filepath.Join("state", "answers.db") {
		t.Errorf("with NIGHTSHIFT_STATE: answers in %s", got)
	}
}

func TestCachePath(t *testing.T) {
	env := lookupIn(map[string]string{"NIGHTSHIFT_STATE": "state"})
	for path, wanted := range map[string]string{"mine.db": "b/mine.db", "../x/mine.db": "x/mine.db", "/var/mine.db": "/var/mine.db"} {
		f := parsed(t, "b", oneInput+"batches: {b: {inputs: [{topic: a}]}}\nrun: {cache: {path: "+path+"}}\n", Options{})
		if got := f.CachePath(env); got != filepath.FromSlash(wanted) {
			t.Errorf("run.cache.path %s: answers in %s, wanted %s", path, got, wanted)
		}
	}
}

func TestStorePath(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ written, variable, wanted string }{
		{"", "", here + "/b/results/.nightshift/store"},
		{"", "elsewhere", here + "/elsewhere"},
		{"", "/mnt/elsewhere", "/mnt/elsewhere"},
		{"", "s3://bucket/nights?region=eu", "s3://bucket/nights?region=eu"},
		{"mine", "/mnt/elsewhere", here + "/b/mine"},
		{"../mine/", "", here + "/mine"},
		{"/mnt/mine", "", "/mnt/mine"},
		{"s3://bucket/nights", "/mnt/elsewhere", "s3://bucket/nights"},
		{"file:///mnt/mine", "", "file:///mnt/mine"},
	} {
		text := oneInput + "batches: {b: {inputs: [{topic: a}]}}\nrun: {backend: temporal}\n"
		if test.written != "" {
			text = strings.Replace(text, "temporal}", "temporal, temporal: {store: '"+test.written+"'}}", 1)
		}
		f := parsed(t, "b", text, Options{})
		if got := f.StorePath(lookupIn(map[string]string{"NIGHTSHIFT_STORE": test.variable})); got != test.wanted {
			t.Errorf("%+v: %s", test, got)
		}
	}
	f := parsed(t, "b", oneInput+"batches: {b: {inputs: [{topic: a}]}}\n", Options{})
	if got := f.StorePath(lookupIn(map[string]string{"NIGHTSHIFT_STATE": "state"})); got != here+"/state/store" {
		t.Errorf("with NIGHTSHIFT_STATE: %s", got)
	}
}

// TestPipelineID: journals and caches hold it.
func TestPipelineID(t *testing.T) {
	if got := PipelineID("bg_summariser"); got != "eb132ce994377292df00384c" {
		t.Error(got)
	}
}
