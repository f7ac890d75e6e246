package spec

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// digested is a batch file of which every part is told by its Digest.
const digested = `version: 1
secrets: [TOKEN]
pipeline:
  name: digested
  nodes:
    topic: {type: input}
    more: {type: input}
    call: {type: api, inputs: {url: "http://127.0.0.1/{{ topic.text }}?key=${TOKEN}"}}
    ask: {type: llm, inputs: {provider: custom, model: m, base_url: http://127.0.0.1/v1, api_key: "${KEY}", prompt: "{{ call.output }}"}}
    out: {type: output, inputs: {value: "{{ ask.response }} {{ more.text }}"}}
batches:
  b:
    inputs: [{topic: a, more: b}]
    node_input_overrides: {ask.prompt: "{{ call.output }}!", ask.api_key: "${OVER}"}
    session_id: s1
    version: v1
`

var digestedVars = map[string]string{"TOKEN": "swordfish", "KEY": "sk-0123456789abcdef", "OVER": "short"}

// digestOf is the Digest of a text with other variables than digestedVars.
func digestOf(t testing.TB, text string, vars map[string]string) string {
	t.Helper()
	f := parsed(t, t.TempDir(), text, Options{Env: func(name string) (string, bool) {
		if v, ok := vars[name]; ok {
			return v, true
		}
		v, ok := digestedVars[name]
		return v, ok
	}})
	return f.Digest(f.Batches[0], f.Redactor)
}

// TestDigestLeavesSecretsOut: who gets a new key, or a new token, goes on with
// the results that are there.
func TestDigestLeavesSecretsOut(t *testing.T) {
	before := digestOf(t, digested, nil)
	if len(before) != 32 {
		t.Errorf("%q is not 32 hex digits", before)
	}
	for name, vars := range map[string]map[string]string{
		"the same":                   nil,
		"another secret":             {"TOKEN": "perch & chips"},
		"a secret with a newline":    {"TOKEN": "swordfish\n"},
		"another key":                {"KEY": "sk-fedcba9876543210"},
		"a key too short to hide":    {"KEY": "none"},
		"another overriding key":     {"OVER": "other"},
		"a long overriding key":      {"OVER": "sk-0123456789abcdef0123"},
		"all of them, and a newline": {"TOKEN": "a\"b\\c\n", "KEY": "x", "OVER": "y"},
	} {
		if got := digestOf(t, digested, vars); got != before {
			t.Errorf("%s: it changed", name)
		}
	}
	// A number that is secret may be a word the next time.
	number := strings.Replace(digested, `{type: api, inputs: {url: "http://127.0.0.1/{{ topic.text }}?key=${TOKEN}"}}`,
		"\n      type: api\n      inputs:\n        url: http://127.0.0.1\n        body_params:\n        - key: pin\n          value: ${TOKEN}", 1)
	if digestOf(t, number, map[string]string{"TOKEN": "471108"}) != digestOf(t, number, nil) {
		t.Error("it changes with a secret that is a number")
	}
}

// TestDigestOfBackends: this program runs pipelines itself, here or by workers; the
// hosted platform is another matter.
func TestDigestOfBackends(t *testing.T) {
	const text = `version: 1
pipeline:
  name: p
  nodes:
    in: {type: input}
    out: {type: output, inputs: {value: "{{ in.text }}"}}
batches:
  b: {inputs: [{in: a}]}
run: {backend: `
	local := digestOf(t, text+"local}\n", nil)
	if digestOf(t, text+"temporal}\n", nil) != local {
		t.Error("it changes when workers run it")
	}
	if digestOf(t, text+"vectorshift}\n", nil) == local {
		t.Error("it stays when the hosted platform runs it")
	}
}

// TestDigestChanges: each of these is another pipeline, whose results must not be
// mixed with those that are there.
func TestDigestChanges(t *testing.T) {
	seen := map[string]string{digestOf(t, digested, nil): "nothing"}
	for name, change := range map[string][2]string{
		"an input of a node":         {"http://127.0.0.1/{{ topic.text }}", "http://127.0.0.1/x/{{ topic.text }}"},
		"an input more":              {"model: m,", "model: m, max_tokens: 5,"},
		"an input less":              {"base_url: http://127.0.0.1/v1, ", ""},
		"a number":                   {"?key=${TOKEN}\"", "?key=${TOKEN}\", body_params: [{key: k, value: 1}]"},
		"a text that is a number":    {"?key=${TOKEN}\"", "?key=${TOKEN}\", body_params: [{key: k, value: '1'}]"},
		"one of another type":        {"    out:", "    idle: {type: text_formatter, inputs: {text: x}}\n    out:"},
		"an input's type":            {"topic: {type: input}", "topic: {type: input, inputs: {input_type: string}}"},
		"a blank":                    {"{{ ask.response }} {{ more.text }}", "{{ ask.response }}  {{ more.text }}"},
		"a node more":                {"    out:", "    idle: {type: text, inputs: {text: x}}\n    out:"},
		"an execution mode":          {"ask: {type: llm,", "ask: {type: llm, execution_mode: batch,"},
		"an override":                {"{{ call.output }}!", "{{ call.output }}?"},
		"an override more":           {"ask.prompt:", "ask.system: x, ask.prompt:"},
		"no overrides":               {"    node_input_overrides: {ask.prompt: \"{{ call.output }}!\", ask.api_key: \"${OVER}\"}\n", ""},
		"the session":                {"session_id: s1", "session_id: s2"},
		"the session as the version": {"session_id: s1\n    version: v1", "version: s1"},
		"the version":                {"version: v1", "version: v2"},
	} {
		text := strings.Replace(digested, change[0], change[1], 1)
		if text == digested {
			t.Fatalf("%s: %q is not in the file", name, change[0])
		}
		digest := digestOf(t, text, nil)
		if other, ok := seen[digest]; ok {
			t.Errorf("%s: the digest is that of %s", name, other)
		}
		seen[digest] = name
	}
	const saved = "version: 1\npipeline: {ID}\nrun: {backend: vectorshift}\nbatches: {b: {inputs: [{topic: a}]}}\n"
	for _, of := range []string{"id: p1", "id: p2", "name: p1", "name: p2"} {
		digest := digestOf(t, strings.Replace(saved, "ID", of, 1), nil)
		if other, ok := seen[digest]; ok {
			t.Errorf("saved pipeline %s: the digest is that of %s", of, other)
		}
		seen[digest] = of
	}
	renamed := digestOf(t, strings.ReplaceAll(digested, "call", "fetch"), nil)
	if other, ok := seen[renamed]; ok {
		t.Errorf("a node's name: the digest is that of %s", other)
	}
	// The rows, and how they are run, are no part of the pipeline.
	for _, change := range [][2]string{{"topic: a", "topic: b"}, {"batches:", "run: {concurrency: 3}\nbatches:"}, {"name: digested", "name: other"}} {
		if got := digestOf(t, strings.Replace(digested, change[0], change[1], 1), nil); seen[got] != "nothing" {
			t.Errorf("it changes with %s", change[1])
		}
	}
}

// TestFingerprint: what may make other items makes another fingerprint.
func TestFingerprint(t *testing.T) {
	pipeline := strings.Replace(twoInputs, "{{ count.value }}", "", 1)
	dir := t.TempDir()
	rows, sum := filepath.Join(dir, "rows.csv"), ""
	write(t, rows, "topic,count\na,1\n")
	write(t, filepath.Join(dir, "text", "a.txt"), "a")
	at := time.Now().Add(-time.Hour)
	seen := map[string]string{}
	look := func(name, pipeline, body string) {
		t.Helper()
		sum = batchOf(t, dir, pipeline, body).Fingerprint()
		if again := batchOf(t, dir, pipeline, body).Fingerprint(); again != sum || len(sum) != 32 {
			t.Errorf("%s: %q, and then %q", name, sum, again)
		}
		if other, ok := seen[sum]; ok {
			t.Errorf("%s: the fingerprint is that of %s", name, other)
		}
		seen[sum] = name
	}
	touch := func(path string) {
		t.Helper()
		at = at.Add(time.Millisecond)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	touch(rows)
	const csv = `{from: rows.csv, map: {topic: "{{ row.topic }}", count: "{{ row.count }}"}, key: "{{ row.topic }}"}`
	look("a file", pipeline, csv)
	look("another key", pipeline, strings.Replace(csv, `key: "{{ row.topic }}"`, `key: "{{ row.count }}"`, 1))
	look("no key", pipeline, strings.Replace(csv, `, key: "{{ row.topic }}"`, "", 1))
	look("another map", pipeline, strings.Replace(csv, `count: "{{ row.count }}"`, `count: "1{{ row.count }}"`, 1))
	look("no map", pipeline, `{from: rows.csv, key: "{{ row.topic }}"}`)
	look("another format", pipeline, strings.Replace(csv, "rows.csv", "rows.csv, format: jsonl", 1))
	look("an input's type", strings.Replace(pipeline, "int32", "string", 1), csv)
	look("a default", strings.Replace(pipeline, "default_value: 7", "default_value: 8", 1), csv)
	look("no default", strings.Replace(pipeline, ", use_default_value: true, default_value: 7", "", 1), csv)
	look("an input less", oneInput, `{from: rows.csv, map: {topic: "{{ row.topic }}"}, key: "{{ row.topic }}"}`)
	touch(rows)
	look("the file's time", pipeline, csv)
	info, err := os.Stat(rows)
	if err != nil {
		t.Fatal(err)
	}
	write(t, rows, "topic,count\na,1\nb,2\n")
	if err := os.Chtimes(rows, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	look("the file's size", pipeline, csv)
	write(t, filepath.Join(dir, "other.csv"), "topic,count\na,1\nb,2\n")
	if err := os.Chtimes(filepath.Join(dir, "other.csv"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	look("another file", pipeline, strings.Replace(csv, "rows.csv", "other.csv", 1))
	look("two files", pipeline, strings.Replace(csv, "rows.csv", "[rows.csv, other.csv]", 1))
	look("the files' order", pipeline, strings.Replace(csv, "rows.csv", "[other.csv, rows.csv]", 1))

	const glob = `{from: "text/*.txt", map: {topic: "{{ row.text }}"}}`
	look("a pattern", pipeline, glob)
	write(t, filepath.Join(dir, "text", "b.txt"), "b")
	look("a file more of a pattern", pipeline, glob)
	if err := os.Rename(filepath.Join(dir, "text", "b.txt"), filepath.Join(dir, "text", "c.txt")); err != nil {
		t.Fatal(err)
	}
	look("a file's name", pipeline, glob)

	for _, inline := range []string{"[{topic: a}]", "[{topic: b}]", "[{topic: a}, {topic: a}]", "[{topic: a, count: 1}]", "[{topic: a, count: '1'}]", "[&a {topic: a}, *a, {topic: b}]"} {
		look("rows "+inline, pipeline, "{inputs: "+inline+"}")
	}
	for _, matrix := range []string{"{topic: [a]}", "{topic: [a, b]}", "{topic: [b, a]}", "{topic: [a], count: [1]}", "{count: [1], topic: [a]}", "{topic: [a], count: [1, 2]}"} {
		look("matrix "+matrix, pipeline, "{matrix: "+matrix+"}")
	}
	// How it is run, and by what, makes no other items.
	f := parsed(t, dir, strings.Replace(pipeline, "{{ topic.text }}", "{{ topic.text }}!", 1)+"batches:\n  b: "+glob+"\nrun: {concurrency: 3}\n", Options{})
	if got := f.Batches[0].Fingerprint(); seen[got] != "a file's name" {
		t.Errorf("another output makes the fingerprint of %q", seen[got])
	}
}

// TestNoFingerprint: where it cannot be told whether the items are the same.
func TestNoFingerprint(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "rows.csv"), "topic\na\n")
	write(t, filepath.Join(dir, "gone.csv"), "topic\na\n")
	stdin, both := batchOf(t, dir, oneInput, "{from: '-'}"), batchOf(t, dir, oneInput, "{from: [rows.csv, '-'], format: csv}")
	gone := batchOf(t, dir, oneInput, "{from: gone.csv}")
	if err := os.Remove(filepath.Join(dir, "gone.csv")); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*Batch{"standard input": stdin, "standard input too": both, "a file that is gone": gone, "a device": batchOf(t, dir, oneInput, "{from: "+os.DevNull+", format: jsonl}")} {
		if got := b.Fingerprint(); got != "" {
			t.Errorf("%s has the fingerprint %s", name, got)
		}
	}
}

// TestID: ids that differ in what is hidden stay apart, in every process.
func TestID(t *testing.T) {
	r := NewRedactor([]string{"swordfish", "perch & chips"})
	ids := []string{"user-swordfish", "user-perch & chips", "user-perch+%26+chips", "user-swordfish-swordfish", "user-swordfish#2", "swordfish", "user-[hidden]", "user", ""}
	var shown []string
	for _, id := range ids {
		got := r.ID(id)
		if strings.Contains(got, "swordfish") || strings.Contains(got, "perch") || strings.Contains(got, "chips") {
			t.Errorf("%q is shown as %q", id, got)
		}
		if slices.Contains(shown, got) {
			t.Errorf("%q is shown as another: %q", id, got)
		}
		shown = append(shown, got)
		if again := NewRedactor([]string{"perch & chips", "another", "swordfish"}).ID(id); again != got {
			t.Errorf("%q is shown as %q, and the next time as %q", id, got, again)
		}
		if twice := r.ID(got); twice != got {
			t.Errorf("what is shown of %q, %q, becomes %q", id, got, twice)
		}
	}
	if got := r.ID("user-swordfish"); got != "user-[hidden]-391e58a6" {
		t.Errorf("ids of results that are there are no longer found: %s", got)
	}
	for _, plain := range []string{"user", "user-[hidden]", ""} {
		if r.ID(plain) != plain || (*Redactor)(nil).ID(plain) != plain {
			t.Errorf("%q, which holds no secret, is changed", plain)
		}
	}
}
