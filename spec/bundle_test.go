package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// sameFile compares what batch files say, wherever they were read.
var sameFile = cmp.Options{
	cmpopts.IgnoreUnexported(File{}, Pipeline{}, Node{}, Batch{}, Source{}),
	cmpopts.IgnoreFields(File{}, "Path", "Redactor"),
	cmpopts.IgnoreFields(Node{}, "CodeFile"),
}

const nightBatch = `version: 1
secrets: [PASSWORD, NOT_SET]
pipeline: {name: "${NAME}", file: pipelines/main.yaml}
batches:
  rows: {from: "${ROWS:-rows.csv}", map: {topic: "{{ row.topic }}"}}
  other:
    inputs: [{topic: a}, {topic: "${GREETING}"}]
    node_input_overrides: {ask.api_key: "${OTHER_KEY}", ask.system: "talk to ${PASSWORD}"}
run:
  backend: temporal
  concurrency: ${N:-3}
`

const nightMain = `name: main
nodes:
  topic: {type: input}
  ask: {type: llm, inputs: {provider: openai, model: m, api_key: "${KEY}", base_url: "${URL:-https://example.com}", system: "${PASSWORD}, ${AUTH}", prompt: "{{ topic.text }}"}}
  under: {type: pipeline, inputs: {pipeline: {file: ../deep/one.yaml}, text: "{{ ask.response }}"}}
  out: {type: output, inputs: {value: "{{ under.out }}"}}
`

var nightFiles = map[string]string{
	"batch.yaml":          nightBatch,
	"pipelines/main.yaml": nightMain,
	"deep/one.yaml":       "name: one\nnodes:\n  text: {type: input}\n  under: {type: pipeline, inputs: {pipeline: {file: two.yaml}, text: \"{{ text.text }}\"}}\n  out: {type: output, inputs: {value: \"{{ under.out }} ${GREETING}\"}}\n",
	"deep/two.yaml":       "name: two\nnodes:\n  text: {type: input}\n  code: {type: transformation, inputs: {transformation: {file: code/up.js}, text: \"{{ text.text }}\"}}\n  out: {type: output, inputs: {value: \"{{ code.result }}\"}}\n",
	"deep/code/up.js":     "function up(text) { return {result: text.toUpperCase()} }\n",
	"rows.csv":            "topic\nspace\n",
}

var nightSecrets = map[string]string{"PASSWORD": "swordfish", "KEY": "sk-0123456789abcdef", "OTHER_KEY": "short-key", "AUTH": "sk-ant-0123456789"}

// nightEnv are variables of the night's batch file; other ones are put among them.
func nightEnv(others map[string]string) Environment {
	vars := map[string]string{"NAME": "night", "GREETING": "hello", "UNUSED": "unused", "EMPTY": ""}
	maps.Copy(vars, nightSecrets)
	maps.Copy(vars, others)
	return lookupIn(vars)
}

// atNight writes a batch file with what belongs to it into a folder, and loads it as one
// who works in that folder does; changes are text to replace in it.
func atNight(t testing.TB, dir string, opts Options, changes ...string) *File {
	t.Helper()
	for name, text := range nightFiles {
		write(t, filepath.Join(dir, name), strings.NewReplacer(changes...).Replace(text))
	}
	f, problems := Load("batch.yaml", opts)
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatal(errs.Error())
	}
	// Keys of providers are hidden whether the file names them or not.
	f.Redactor = f.Redactor.WithKeys([]string{nightSecrets["AUTH"], "sk-of-somebody-else-0123456789"})
	return f
}

func bundled(t rapid.TB, f *File) *Bundle {
	t.Helper()
	b, err := f.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sent is a bundle as it arrives.
func sent(t rapid.TB, b *Bundle) *Bundle {
	t.Helper()
	text := b.AppendJSON([]byte("kept"))
	arrived := &Bundle{}
	if err := json.Unmarshal(text[len("kept"):], arrived); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, arrived, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("sent and arrived differ:\n%s", diff)
	}
	if arrived.Digest() != b.Digest() || len(b.Digest()) != 32 {
		t.Errorf("digest %s, arrived as %s", b.Digest(), arrived.Digest())
	}
	return arrived
}

func unpacked(t rapid.TB, b *Bundle, env Environment) *File {
	t.Helper()
	f, problems := b.Load(env)
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatal(errs.Error())
	}
	return f
}

// TestBundle: what a bundle gives on a machine that has none of the files, and other
// variables, is what the files gave where it was made.
func TestBundle(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	f := atNight(t, dir, Options{Env: nightEnv(nil), Set: []string{"run.stop.failures=5%", "batches.rows.version=${GREETING}"}})
	b := bundled(t, f)
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(b.Files)) {
		paths = append(paths, strings.TrimPrefix(path, dir+"/"))
	}
	if want := []string{"batch.yaml", "deep/code/up.js", "deep/one.yaml", "deep/two.yaml", "pipelines/main.yaml"}; !slices.Equal(paths, want) || b.Path != filepath.Join(dir, "batch.yaml") {
		t.Errorf("files %q, the batch file %s", paths, b.Path)
	}
	if diff := cmp.Diff(map[string]string{"NAME": "night", "GREETING": "hello"}, b.Variables); diff != "" {
		t.Error(diff)
	}
	if want := []string{"AUTH", "KEY", "OTHER_KEY", "PASSWORD"}; !slices.Equal(b.Secrets, want) {
		t.Errorf("secrets %q, want %q", b.Secrets, want)
	}
	b = sent(t, b)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	// A worker's own variables count for nothing but secrets.
	there := lookupIn(map[string]string{
		"PASSWORD": "swordfish", "KEY": nightSecrets["KEY"], "OTHER_KEY": "short-key", "AUTH": nightSecrets["AUTH"],
		"N": "99", "URL": "https://elsewhere", "ROWS": "x.csv", "NAME": "day", "NOT_SET": "set here",
	})
	got := unpacked(t, b, there)
	if diff := cmp.Diff(f, got, sameFile); diff != "" {
		t.Errorf("(-there +here):\n%s", diff)
	}
	if got.Pipeline.Node("under").Sub.Node("under").Sub.Node("code").Code == "" {
		t.Error("no code came along")
	}
	if again := bundled(t, got); again.Digest() != b.Digest() {
		t.Errorf("a bundle of what was loaded from it is another one:\n%s", cmp.Diff(b, again))
	}
	// A secret may have another value there.
	rotated := unpacked(t, b, lookupIn(map[string]string{"PASSWORD": "catfish", "KEY": "sk-9876543210fedcba", "OTHER_KEY": "k", "AUTH": "sk-ant-9876543210"}))
	for i, batch := range f.Batches {
		want := f.Digest(batch, f.Redactor)
		if d := got.Digest(got.Batches[i], got.Redactor); d != want {
			t.Errorf("batch %s: digest %s, want %s", batch.Name, d, want)
		}
		if d := rotated.Digest(rotated.Batches[i], rotated.Redactor); d != want {
			t.Errorf("batch %s: digest with other secrets %s, want %s", batch.Name, d, want)
		}
	}
	const text = "swordfish sk-0123456789abcdef short-key sk-ant-0123456789 hello"
	if want := "[hidden] [hidden] short-key [hidden] hello"; f.Redactor.Text(text) != want || got.Redactor.Text(text) != want {
		t.Errorf("here %q is hidden, there %q", f.Redactor.Text(text), got.Redactor.Text(text))
	}
	if shown := rotated.Redactor.Text("swordfish catfish sk-9876543210fedcba sk-ant-9876543210"); shown != "swordfish [hidden] [hidden] [hidden]" {
		t.Errorf("of other values %q is shown", shown)
	}
}

// TestBundleOwnsItsFiles: the disk is not looked at, though it has all that is named.
func TestBundleOwnsItsFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	f := atNight(t, dir, Options{Env: nightEnv(nil)})
	b := bundled(t, f)
	for name := range nightFiles {
		write(t, filepath.Join(dir, name), "of the disk: [")
	}
	if diff := cmp.Diff(f, unpacked(t, b, nightEnv(nil)), sameFile); diff != "" {
		t.Error(diff)
	}
	// What a bundle lacks is not looked for either.
	delete(b.Files, filepath.Join(dir, "deep/two.yaml"))
	write(t, filepath.Join(dir, "deep/two.yaml"), nightFiles["deep/two.yaml"])
	_, problems := b.Load(nightEnv(nil))
	mustContain(t, problems.Error(), "deep/two.yaml: it did not come along with the batch file")
	delete(b.Files, b.Path)
	_, problems = b.Load(nightEnv(nil))
	mustContain(t, problems.Error(), "the file is empty")
}

func TestBundleLacksSecrets(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	b := bundled(t, atNight(t, dir, Options{Env: nightEnv(nil)}))
	f, problems := b.Load(lookupIn(map[string]string{"PASSWORD": "swordfish", "KEY": ""}))
	if f != nil || len(problems) != 3 {
		t.Fatalf("%v, %s", f, problems.Error())
	}
	for i, name := range []string{"AUTH", "KEY", "OTHER_KEY"} {
		want := fmt.Sprintf("%s: variable %s is a secret which this worker does not have; set it in its environment, or give it --env-file", b.Path, name)
		if got := problems[i].String(); got != want {
			t.Errorf("%s\nwant: %s", got, want)
		}
	}
	_, problems = b.Load(nightEnv(map[string]string{"PASSWORD": "abc"}))
	mustContain(t, problems.Error(), "too few to be hidden")
	if _, problems := bundled(t, parsed(t, "", oneInput+"batches: {b: {inputs: [{topic: a}]}}\n", Options{})).Load(nil); len(problems) > 0 {
		t.Error(problems)
	}
}

// TestBundleHoldsNoSecret: whatever is written where, the secrets of the batch file are
// in none of the bytes; or there is no bundle, and the place is named.
func TestBundleHoldsNoSecret(t *testing.T) {
	auth := nightSecrets["AUTH"]
	const written = "a secret stands here, and this goes to other machines: put it whole into a variable, and write ${VARIABLE}"
	for name, test := range map[string]struct {
		changes []string
		set     []string
		env     map[string]string
		want    string // "": it holds none
	}{
		"as it is":                        {},
		"in a default that is not used":   {changes: []string{"${KEY}", "${KEY:-ollama}"}},
		"in --set, as a variable":         {set: []string{"pipeline.name=${PASSWORD}x", "batches.other.node_input_overrides={ask.api_key: '${KEY}'}"}},
		"among other text":                {changes: []string{"${GREETING}", "${GREETING} ${URL_OF_ALL}"}, env: map[string]string{"URL_OF_ALL": "https://user:swordfish@host/" + auth}},
		"among text, and not listed":      {changes: []string{"${GREETING}", "${WITH_KEY}"}, env: map[string]string{"WITH_KEY": "https://host/" + auth}},
		"in a key, literally":             {changes: []string{`"${KEY}"`, "sk-9876543210fedcba"}, want: "pipelines/main.yaml:4:66: " + written},
		"in a key, escaped":               {changes: []string{`"${KEY}"`, `"sk-9876543210\x66edcba"`}, want: "pipelines/main.yaml:4:66: " + written},
		"in a default that is used":       {changes: []string{"${KEY}", "${NO_KEY:-sk-9876543210fedcba}"}, want: "pipelines/main.yaml:4:66: " + written},
		"in the key of an override":       {changes: []string{`"${OTHER_KEY}"`, "sk-9876543210fedcba"}, want: "batch.yaml:8:41: " + written},
		"in a key of several variables":   {changes: []string{"${KEY}", "${A}-${B}"}, env: map[string]string{"A": "sk-1234", "B": "567890abcdef"}, want: ""},
		"in text of several variables":    {changes: []string{"${GREETING}", "${A}${B}"}, env: map[string]string{"A": "sword", "B": "fish"}, want: "batch.yaml:7:34: " + written},
		"in text, with a plain beginning": {changes: []string{"${GREETING}", "sword${B}"}, env: map[string]string{"B": "fish"}, want: "deep/one.yaml:5:39: " + written},
		"in a row":                        {changes: []string{"{topic: a}", "{topic: " + auth + "}"}, want: "batch.yaml:7:22: " + written},
		"in a comment":                    {changes: []string{"  rows:", "  # swordfish\n  rows:"}, want: "batch.yaml:5:5: " + written},
		"in code":                         {changes: []string{"{ return", "{ // é " + auth + "\n return"}, want: "deep/code/up.js:1:26: " + written},
		"in a name":                       {changes: []string{"  under:", "  swordfish: {type: text_formatter, inputs: {text: a, formatter: To Uppercase}}\n  under:"}, want: "deep/one.yaml:4:3: " + written},
		"in --set, literally":             {set: []string{"batches.other.node_input_overrides={ask.api_key: sk-9876543210fedcba}"}, want: "--set batches.other.node_input_overrides={ask.api_key: [hidden]}: " + written},
		"in --set that another replaces":  {set: []string{"pipeline.description=swordfish", "pipeline.description=x"}, want: "--set pipeline.description=[hidden]: " + written},
		"of somebody else, in a variable": {changes: []string{"${GREETING}", "${THEIRS}"}, env: map[string]string{"THEIRS": "https://host/?key=sk-of-somebody-else-0123456789"}, want: "batch.yaml: variable THEIRS holds a key among other text: list THEIRS under secrets"},
		"of somebody else, and listed":    {changes: []string{"${GREETING}", "${THEIRS}", "NOT_SET]", "THEIRS]"}, env: map[string]string{"THEIRS": "https://host/?key=sk-of-somebody-else-0123456789"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			env := nightEnv(test.env)
			f := atNight(t, dir, Options{Env: env, Set: test.set}, test.changes...)
			b, err := f.Bundle()
			if test.want != "" {
				if err == nil {
					t.Fatalf("a bundle: %s", b.AppendJSON(nil))
				}
				mustContain(t, err.Error(), test.want)
				if text := err.Error(); f.Redactor.Message(text) != text || strings.Contains(text, "x66edcba") || strings.Contains(text, "sword") {
					t.Errorf("the error shows a secret: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range append(slices.Collect(maps.Values(nightSecrets)), "567890abcdef", "sk-of-somebody-else-0123456789") {
				checkAbsent(t, b, secret)
			}
			got := unpacked(t, b, env)
			for i, batch := range f.Batches {
				if a, b := f.Digest(batch, f.Redactor), got.Digest(got.Batches[i], got.Redactor); a != b {
					t.Errorf("batch %s: digest %s here, %s there", batch.Name, a, b)
				}
			}
		})
	}
}

// TestBundleOfSecretPath: a path is a part of a bundle too.
func TestBundleOfSecretPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "swordfish")
	write(t, filepath.Join(dir, "p.yaml"), "name: p\nnodes:\n  topic: {type: input}\n  out: {type: output, inputs: {value: \"{{ topic.text }}\"}}\n")
	f := parsed(t, dir, "version: 1\nsecrets: [KEY]\npipeline: {file: p.yaml}\nbatches: {b: {inputs: [{topic: a}]}}\n", Options{Env: lookupIn(nightSecrets)})
	if _, err := f.Bundle(); err != nil {
		t.Error(err)
	}
	f = parsed(t, dir, "version: 1\nsecrets: [PASSWORD]\npipeline: {file: p.yaml}\nbatches: {b: {inputs: [{topic: a}]}}\n", Options{Env: lookupIn(nightSecrets)})
	_, err := f.Bundle()
	if err == nil {
		t.Fatal("the path is taken")
	}
	mustContain(t, err.Error(), "/[hidden]/batch.yaml: the path of this file holds a secret; give it another one")
	mustContain(t, err.Error(), "/[hidden]/p.yaml: ")
	if _, err := (&File{}).Bundle(); err == nil {
		t.Error("a file from nowhere has a bundle")
	}
}

// TestBundlesOfAll: every valid batch file that there is goes through a bundle.
func TestBundlesOfAll(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"../testdata/valid/*.yaml", "../examples/*/*.yaml", "../examples/*.yaml"} {
		found, _ := filepath.Glob(pattern)
		paths = append(paths, found...)
	}
	count := 0
	for _, path := range paths {
		env := func(name string) (string, bool) {
			if strings.HasSuffix(name, "_KEY") {
				return "value-of-" + name, true
			}
			return "", false
		}
		f, problems := Load(path, Options{Env: env})
		if errs, _ := problems.Split(); len(errs) > 0 {
			continue // a pipeline file, or rows
		}
		count++
		b := sent(t, bundled(t, f))
		got := unpacked(t, b, env)
		if diff := cmp.Diff(f, got, sameFile); diff != "" {
			t.Errorf("%s:\n%s", path, diff)
		}
		for i, batch := range f.Batches {
			if f.Digest(batch, f.Redactor) != got.Digest(got.Batches[i], got.Redactor) {
				t.Errorf("%s: batch %s has another digest", path, batch.Name)
			}
		}
	}
	if count < 10 {
		t.Errorf("only %d batch files of %d", count, len(paths))
	}
}

// checkAbsent looks for a secret in the JSON of a bundle, and in what is base64 there.
func checkAbsent(t rapid.TB, b *Bundle, secret string) {
	t.Helper()
	if bytes.Contains(b.AppendJSON(nil), []byte(secret)) {
		t.Errorf("%s is in the JSON", secret)
	}
	for path, content := range b.Files {
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%s is in %s", secret, path)
		}
	}
}

// TestBundleProperty: whatever variables a batch file has where, either its bundle is
// refused, or it holds no secret and gives the same file.
func TestBundleProperty(outer *testing.T) {
	dir := outer.TempDir()
	outer.Chdir(dir)
	names := []string{"A", "B", "C", "D", "E"}
	value := rapid.OneOf(rapid.SampledFrom([]string{"", "x", "word", "swordfish", "sk-0123456789abcdef", "my swordfish, and more", "a-long-text-that-is-no-key", "sk-of-somebody-else-0123456789"}), rapid.StringMatching(`[a-z]{1,20}`))
	rapid.Check(outer, func(t *rapid.T) {
		vars := rapid.MapOfN(rapid.SampledFrom(names), value, 0, 5).Draw(t, "vars")
		scalar := rapid.Custom(func(t *rapid.T) string {
			var b strings.Builder
			for range rapid.IntRange(0, 3).Draw(t, "pieces") {
				name := rapid.SampledFrom(names).Draw(t, "name")
				b.WriteString(rapid.SampledFrom([]string{"plain ", "${" + name + ":-other}", "${" + name + ":-}", "swordfish", "$$"}).Draw(t, "piece"))
			}
			return b.String()
		})
		q := func(label string) string { return string(AppendJSON(nil, scalar.Draw(t, label))) }
		listed := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(t, "listed")
		write(outer, "sub.yaml", "name: sub\ndescription: "+q("description")+"\nnodes:\n  text: {type: input}\n  out: {type: output, inputs: {value: "+q("value")+"}}\n")
		write(outer, "batch.yaml", `version: 1
secrets: [`+strings.Join(listed, ", ")+`]
pipeline:
  name: p
  nodes:
    in: {type: input}
    ask: {type: llm, inputs: {provider: openai, model: m, api_key: `+q("key")+`, prompt: `+q("prompt")+`}}
    sub: {type: pipeline, inputs: {pipeline: {file: sub.yaml}, text: "{{ ask.response }}"}}
    out: {type: output, inputs: {value: "{{ sub.out }}"}}
batches:
  b: {inputs: [{in: `+q("row")+`}], session_id: `+q("session")+`}
`)
		set := rapid.SliceOfN(rapid.Map(scalar, func(s string) string { return "pipeline.description=" + s }), 0, 2).Draw(t, "set")
		f, problems := Load("batch.yaml", Options{Env: lookupIn(vars), Set: set})
		if errs, _ := problems.Split(); len(errs) > 0 {
			return
		}
		f.Redactor = f.Redactor.WithKeys([]string{"sk-of-somebody-else-0123456789"})
		b, err := f.Bundle()
		if err != nil {
			if f.Redactor.Message(err.Error()) != err.Error() {
				t.Fatalf("the error shows a secret: %v", err)
			}
			return
		}
		b = sent(t, b)
		for _, name := range listed {
			if value := vars[name]; len(value) >= minSecret {
				checkAbsent(t, b, value)
			}
		}
		if text := string(b.AppendJSON(nil)) + string(b.Files[b.Path]); f.Redactor.Text(text) != text {
			t.Fatalf("a secret is in %s", text)
		}
		got, problems := b.Load(lookupIn(vars))
		if errs, _ := problems.Split(); len(errs) > 0 {
			t.Fatal(errs.Error())
		}
		if diff := cmp.Diff(f, got, sameFile); diff != "" {
			t.Fatal(diff)
		}
		if a, b := f.Digest(f.Batches[0], f.Redactor), got.Digest(got.Batches[0], got.Redactor); a != b {
			t.Fatalf("digest %s here, %s there", a, b)
		}
		if bundled(t, got).Digest() != b.Digest() {
			t.Fatal("a bundle of what was loaded from it is another one")
		}
	})
}

// TestBundleProblemsAreShort: a mistake that only shows elsewhere is told in one line,
// without lines of the file.
func TestBundleProblemsAreShort(t *testing.T) {
	const text = "version: 1\npipeline:\n  name: p\n  nodes: {in: {type: inpt}}\nbatches:\n  b: {inputs: [{in: a}]}\n"
	_, problems := (&Bundle{Path: "/away/batch.yaml", Files: map[string][]byte{"/away/batch.yaml": []byte(text)}}).Load(nil)
	if len(problems) == 0 || strings.Contains(problems[:1].Error(), "\n") {
		t.Errorf("%q", problems.Error())
	}
}
