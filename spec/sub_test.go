package spec

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePipelineRef(t *testing.T) {
	for _, test := range []struct {
		value any
		want  PipelineRef
	}{
		{"about", PipelineRef{Name: "about"}},
		{map[string]any{"name": "about"}, PipelineRef{Name: "about"}},
		{map[string]any{"file": "sub.yaml"}, PipelineRef{File: "sub.yaml"}},
		{map[string]any{"name": "about", "file": "sub.yaml"}, PipelineRef{Name: "about", File: "sub.yaml"}},
		{map[string]any{"id": "66f1"}, PipelineRef{ID: "66f1"}},
		{map[string]any{"object_id": "66f1"}, PipelineRef{ID: "66f1"}},
		{map[string]any{"object_id": "66f1", "object_type": toNumber(0), "branch_id": "main"}, PipelineRef{ID: "66f1"}},
		{map[string]any{"object_id": "66f1", "object_type": toNumber(0), "branch_id": nil}, PipelineRef{ID: "66f1"}},
		{map[string]any{"file": "braces {{ like }} these.yaml"}, PipelineRef{File: "braces {{ like }} these.yaml"}},
	} {
		if got, err := ParsePipelineRef(test.value); err != nil || got != test.want {
			t.Errorf("%v: %+v, %v", test.value, got, err)
		}
	}
	older := &Node{Type: "pipeline", Inputs: map[string]any{"pipeline_id": "66f1"}}
	if got, err := older.PipelineRef(); err != nil || got.ID != "66f1" {
		t.Errorf("an older name of the input: %+v, %v", got, err)
	}
	both := &Node{Type: "pipeline", Inputs: map[string]any{"pipeline": "about", "pipeline_id": "66f1"}}
	if got, err := both.PipelineRef(); err != nil || got.Name != "about" {
		t.Errorf("a sub-pipeline with an input of the older name: %+v, %v", got, err)
	}
}

// subFile is a pipeline that gives on its input, and runs the pipelines of files.
func subText(name string, runs ...string) string {
	text := "name: " + name + "\nnodes:\n  topic: {type: input, inputs: {input_type: string}}\n"
	value := "{{ topic.text }}"
	for i, file := range runs {
		text += fmt.Sprintf("  run%d: {type: pipeline, inputs: {pipeline: {file: %s}, topic: \"{{ topic.text }}\"}}\n", i, file)
		value += fmt.Sprintf("{{ run%d.out }}", i)
	}
	return text + "  out: {type: output, inputs: {output_type: string, value: \"" + value + "\"}}\n"
}

// batchText is a batch file whose pipeline runs those of files.
func batchText(runs ...string) string {
	pipeline := strings.ReplaceAll(strings.TrimSuffix(subText("main", runs...), "\n"), "\n", "\n  ")
	return "version: 1\npipeline:\n  " + pipeline + "\nbatches:\n  b: {inputs: [{topic: space}]}\n"
}

func TestSubsAreLoaded(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "subs", "a.yaml"), subText("a", "deep/b.yaml"))
	write(t, filepath.Join(dir, "subs", "deep", "b.yaml"), subText("b"))
	f := parsed(t, dir, batchText("subs/a.yaml", "./subs/../subs/a.yaml", "subs/deep/b.yaml"), Options{})
	a, again, b := f.Pipeline.Node("run0").Sub, f.Pipeline.Node("run1").Sub, f.Pipeline.Node("run2").Sub
	if a == nil || a.Name != "a" || len(a.Nodes) != 3 || a != again {
		t.Errorf("a: %+v, %+v", a, again)
	}
	if inner := a.Node("run0").Sub; inner != b || b.Name != "b" {
		t.Errorf("b: %+v, %+v", inner, b)
	}
	reads := f.Reads()
	for _, file := range []string{"batch.yaml", "subs/a.yaml", "subs/deep/b.yaml"} {
		if !slices.Contains(reads, filepath.Join(dir, file)) {
			t.Errorf("%s is not among the files that are read: %v", file, reads)
		}
	}
}

// TestNameBesideFile: it is the pipeline's, and that of no other node.
func TestNameBesideFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), strings.TrimPrefix(subText("a"), "name: a\n"))
	text := strings.Replace(batchText("a.yaml"), "{file: a.yaml}", "{file: a.yaml, name: mine}", 1)
	if sub := parsed(t, dir, text, Options{}).Pipeline.Node("run0").Sub; sub.Name != "mine" {
		t.Errorf("named %q", sub.Name)
	}
	write(t, filepath.Join(dir, "a.yaml"), subText("a"))
	text = strings.Replace(batchText("a.yaml", "a.yaml"), "{file: a.yaml}", "{file: a.yaml, name: mine}", 1)
	p := parsed(t, dir, text, Options{}).Pipeline
	if mine, own := p.Node("run0").Sub.Name, p.Node("run1").Sub.Name; mine != "mine" || own != "a" {
		t.Errorf("named %q and %q", mine, own)
	}
}

// errorsOf gives the errors of a batch file.
func errorsOf(t *testing.T, dir, text string) string {
	t.Helper()
	_, problems := Parse(filepath.Join(dir, "batch.yaml"), []byte(text), Options{})
	errs, _ := problems.Split()
	return errs.Error()
}

// TestSubsDepth: pipelines stand at most ten deep inside one another, whichever way
// they are come by first.
func TestSubsDepth(t *testing.T) {
	dir := t.TempDir()
	for i := range MaxSubDepth {
		runs := []string{fmt.Sprintf("s%d.yaml", i+1)}
		if i == MaxSubDepth-1 {
			runs = nil
		}
		write(t, filepath.Join(dir, fmt.Sprintf("s%d.yaml", i)), subText(fmt.Sprintf("s%d", i), runs...))
	}
	parsed(t, dir, batchText("s0.yaml"), Options{})
	write(t, filepath.Join(dir, "outer.yaml"), subText("outer", "s0.yaml"))
	for _, runs := range [][]string{{"outer.yaml"}, {"s0.yaml", "outer.yaml"}} {
		mustContain(t, errorsOf(t, dir, batchText(runs...)), "pipelines stand more than 10 deep inside one another")
	}
}

func TestSubsAreNotTooMany(t *testing.T) {
	dir := t.TempDir()
	var runs []string
	for i := range maxSubFiles + 2 {
		runs = append(runs, fmt.Sprintf("s%d.yaml", i))
		write(t, filepath.Join(dir, runs[i]), subText(fmt.Sprintf("s%d", i)))
	}
	parsed(t, dir, batchText(append(runs[:maxSubFiles:maxSubFiles], runs[:3]...)...), Options{})
	if errs := errorsOf(t, dir, batchText(runs...)); strings.Count(errs, "more than 200 pipeline files") != 1 {
		t.Errorf("%s", errs)
	}
}

// TestSubsEffects: a pipeline that does something is of use without its outputs.
func TestSubsEffects(t *testing.T) {
	dir := t.TempDir()
	save := "  save: {type: file_save, inputs: {name: x.txt, files: [\"{{ file.file }}\"]}}\n  file: {type: text_to_file, inputs: {text: x, file_name: x, file_type: TXT}}\n"
	for name, test := range map[string]struct {
		nodes string
		warns bool
	}{
		"nothing":                       {"", true},
		"a file":                        {save, false},
		"a pipeline that makes a file":  {"  inner: {type: pipeline, inputs: {pipeline: {file: saves.yaml}, topic: x}}\n", false},
		"a pipeline nobody knows":       {"  inner: {type: pipeline, inputs: {pipeline: {name: elsewhere}}}\n", false},
		"a variable that is its own":    {"  set: {type: set_variable, inputs: {variable_id: tone, value: x}}\nvariables: {tone: dry}\n", true},
		"a pipeline that makes nothing": {"  inner: {type: pipeline, inputs: {pipeline: {file: nothing.yaml}, topic: x}}\n", true},
	} {
		write(t, filepath.Join(dir, "saves.yaml"), subText("saves")+save)
		write(t, filepath.Join(dir, "nothing.yaml"), subText("nothing"))
		write(t, filepath.Join(dir, "a.yaml"), subText("a")+test.nodes)
		text := strings.Replace(batchText("a.yaml"), "{{ run0.out }}", "", 1)
		_, problems := Parse(filepath.Join(dir, "batch.yaml"), []byte(text), Options{})
		if errs, warnings := problems.Split(); len(errs) > 0 || strings.Contains(warnings.Error(), "batch.yaml:6:5: warning: node run0 is unreachable") != test.warns {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// TestDigestOfFiles: it changes with every file that the pipeline is made of, however
// deep, and with nothing else.
func TestDigestOfFiles(t *testing.T) {
	digest := func(files map[string]string) string {
		dir := t.TempDir()
		all := map[string]string{
			"a.yaml": subText("a", "b.yaml"), "x.js": "return 1",
			"b.yaml": subText("b") + "  code: {type: transformation, inputs: {transformation: {file: x.js}}}\n",
		}
		maps.Copy(all, files)
		for name, text := range all {
			write(t, filepath.Join(dir, name), text)
		}
		f := parsed(t, dir, batchText("a.yaml", "a.yaml"), Options{Env: lookupIn(map[string]string{"KEY": files["KEY"]})})
		return f.Digest(f.Batches[0], f.Redactor)
	}
	before := digest(nil)
	if same := digest(map[string]string{"a.yaml": "# a remark\n" + subText("a", "b.yaml")}); same != before {
		t.Error("a remark makes another digest")
	}
	ask := subText("b") + "  ask: {type: llm, inputs: {provider: openai, model: m, prompt: x, api_key: \"${KEY}\"}}\n"
	first, second := digest(map[string]string{"b.yaml": ask, "KEY": "sk-0123456789abcdef"}), digest(map[string]string{"b.yaml": ask, "KEY": "sk-fedcba9876543210"})
	if first != second {
		t.Error("a new key makes another digest")
	}
	code := "  code: {type: transformation, inputs: {transformation: {file: x.js}}}\n"
	seen := map[string]string{before: "before", first: "ask"}
	for name, files := range map[string]map[string]string{
		"another text in a":   {"a.yaml": strings.Replace(subText("a", "b.yaml"), "{{ topic.text }}{{", "{{ topic.text }}!{{", 1)},
		"another text in b":   {"b.yaml": strings.Replace(subText("b"), "\"{{ topic.text }}\"", "x", 1) + code},
		"other code":          {"x.js": "return 2"},
		"a variable":          {"b.yaml": subText("b") + code + "variables: {tone: dry}\n"},
		"another first value": {"b.yaml": subText("b") + code + "variables: {tone: warm}\n"},
		"another name":        {"b.yaml": subText("c") + code},
	} {
		d := digest(files)
		if other, there := seen[d]; there {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
	}
}

// TestKeysInSubs: a key in the file of a sub-pipeline is hidden as well.
func TestKeysInSubs(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), subText("a")+"  ask: {type: llm, inputs: {provider: openai, model: m, prompt: x, api_key: \"${KEY}\"}}\n")
	f := parsed(t, dir, batchText("a.yaml"), Options{Env: lookupIn(map[string]string{"KEY": "sk-0123456789abcdef"})})
	if text := f.Redactor.Text("sent sk-0123456789abcdef"); text != "sent [hidden]" {
		t.Error(text)
	}
}

// TestCodeIsRead: with the file, once, as text without a byte order mark.
func TestCodeIsRead(t *testing.T) {
	dir := t.TempDir()
	text := batchText() + ""
	text = strings.Replace(text, "    out:", "    code: {type: transformation, inputs: {transformation: {file: code/x.js}}}\n    out:", 1)
	write(t, filepath.Join(dir, "code", "x.js"), "\ufeffreturn 1")
	f := parsed(t, dir, text, Options{})
	if n := f.Pipeline.Node("code"); n.Code != "return 1" || n.CodeFile != filepath.Join(dir, "code", "x.js") || !slices.Contains(f.Reads(), n.CodeFile) {
		t.Errorf("%q of %q, reads %v", n.Code, n.CodeFile, f.Reads())
	}
	write(t, filepath.Join(dir, "code", "x.js"), strings.Repeat(" ", maxCode+1))
	mustContain(t, errorsOf(t, dir, text), "code/x.js: it has more than 1 MB")
	write(t, filepath.Join(dir, "code", "x.js"), "\xff")
	mustContain(t, errorsOf(t, dir, text), "code/x.js is not text in UTF-8")
}

// TestOverrideOfFile: another pipeline is not the one that the file holds.
func TestOverrideOfFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), subText("a"))
	p := parsed(t, dir, batchText("a.yaml"), Options{}).Pipeline
	other, err := p.Override(map[string]any{"run0.pipeline": "other"})
	if err != nil || other.Node("run0").Sub != nil || p.Node("run0").Sub == nil {
		t.Errorf("%+v, %v", other.Node("run0").Sub, err)
	}
	same, err := p.Override(map[string]any{"run0.topic": "the sea"})
	if err != nil || same.Node("run0").Sub == nil {
		t.Errorf("%v", err)
	}
}

func TestVariableTemplates(t *testing.T) {
	p := &Pipeline{Variables: map[string]any{"tone": "dry", "list": []any{"a", "b"}}}
	values := func(ref *Ref) any {
		if ref.Node == "" {
			return p.Variables[ref.Output]
		}
		return "<" + ref.Node + "." + ref.Output + ">"
	}
	for _, test := range []struct{ value, want any }{
		{"{{ tone }}", "dry"},
		{"{{tone}} and {{ tone }}", "dry and dry"},
		{"{{ list }}", []any{"a", "b"}},
		{"all: {{ list }}", `all: ["a","b"]`},
		{"{{ tnoe }}", "{{ tnoe }}"},
		{"{{ tnoe }} {{ tone }} {{ other }}!", "{{ tnoe }} dry {{ other }}!"},
		{"{{ tone.x }}{{ tone }}", "<tone.x>dry"},
		{"{{ to ne }}", "{{ to ne }}"},
		{[]any{"{{ tone }}", "x"}, []any{"dry", "x"}},
		{map[string]any{"a": []any{"{{ list }}"}}, map[string]any{"a": []any{[]any{"a", "b"}}}},
		{toNumber(1), toNumber(1)},
	} {
		if diff := cmp.Diff(test.want, p.Template(test.value).Value(values)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.value, diff)
		}
	}
	if text := ParseTemplate("{{ tone }}").Text(values); text != "{{ tone }}" {
		t.Errorf("%q where references are to nodes only", text)
	}
	if _, literal := (&Pipeline{}).Template("{{ tone }}").Literal(); !literal {
		t.Error("a reference to a variable that nobody has declared")
	}
}

// TestVariablesAreWritten: as they were declared, in the author's order.
func TestVariablesAreWritten(t *testing.T) {
	p := &Pipeline{
		Name: "p", Variables: map[string]any{"tone": "dry", "count": toNumber(3), "all": []any{"a"}}, VariableNames: []string{"tone", "count"},
		Nodes: []*Node{{Name: "out", Type: "output", Inputs: map[string]any{"output_type": "string", "value": "{{ tone }}"}, InputNames: []string{"output_type", "value"}}},
	}
	text, back := written(t, p)
	mustContain(t, text, "  variables: {tone: dry, count: 3, all: [a]}\n")
	if diff := cmp.Diff(p.Variables, back.Variables); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(back.VariableNames, []string{"tone", "count", "all"}) {
		t.Error(back.VariableNames)
	}
	var b bytes.Buffer
	p.Variables = nil
	if err := Write(&b, p, nil); err != nil || strings.Contains(b.String(), "variables") {
		t.Errorf("%v:\n%s", err, b.String())
	}
}

func TestAsVariable(t *testing.T) {
	object := map[string]any{"a": toNumber(1)}
	for _, test := range []struct{ first, value, want any }{
		{"dry", toNumber(5), "5"},
		{"dry", "warm", "warm"},
		{toNumber(1), " 5.50 ", toNumber(0)},
		{toNumber(1), "0x10", toNumber(16)},
		{true, "FALSE", false},
		{[]any{}, `["a"]`, []any{"a"}},
		{map[string]any{}, `{"a": 1}`, object},
		{map[string]any{}, object, object},
		{nil, object, object},
	} {
		got, err := AsVariable(test.value, test.first)
		if test.value == " 5.50 " {
			got, test.want = Text(got), "5.50"
		}
		if err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("%v where it was %v: %v, %v", test.value, test.first, got, err)
		}
	}
	for _, test := range []struct{ first, value any }{
		{"dry", []any{"a"}}, {"dry", object}, {toNumber(1), "many"}, {toNumber(1), true}, {true, toNumber(1)}, {[]any{}, "a"}, {object, "a"}, {object, []any{}},
	} {
		if got, err := AsVariable(test.value, test.first); err == nil {
			t.Errorf("%v where it was %v: %v", test.value, test.first, got)
		}
	}
}

// TestEveryForm: nothing is said against any form in which a pipeline can be named.
func TestEveryForm(t *testing.T) {
	f, problems := Load(filepath.Join("..", "testdata", "valid", "sub-pipelines.yaml"), Options{Env: lookupIn(nil)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := map[string]PipelineRef{
		"file": {File: "parts/about.yaml"}, "named_file": {File: "parts/about.yaml", Name: "about_this"}, "each": {File: "parts/about.yaml"},
		"name": {Name: "sub_pipelines"}, "text": {Name: "sub_pipelines"}, "id": {ID: "66f1c0ffee"}, "object": {ID: "66f1c0ffee"}, "older": {ID: "66f1c0ffee"},
	}
	got := map[string]PipelineRef{}
	for _, n := range f.Pipeline.Nodes {
		if n.Type == "pipeline" {
			got[n.Name], _ = n.PipelineRef()
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if sub := f.Pipeline.Node("named_file").Sub; sub.Name != "about_this" || sub.Variables["ending"] != "!" {
		t.Errorf("%+v", sub)
	}
}

// TestSubsOfOneName: the platform saves each under its name; on this machine names are
// only in the way where a node names one of them.
func TestSubsOfOneName(t *testing.T) {
	dir := t.TempDir()
	again := strings.Replace(subText("a"), "  out:", "  again: {type: pipeline, inputs: {pipeline: {name: a}, topic: x}}\n  out:", 1)
	write(t, filepath.Join(dir, "a.yaml"), subText("a"))
	write(t, filepath.Join(dir, "b.yaml"), subText("b", "a.yaml"))
	write(t, filepath.Join(dir, "self.yaml"), again)
	hosted := "run: {backend: vectorshift}\n"
	named := func(text, file, name string) string {
		return strings.Replace(text, "{file: "+file+"}", "{file: "+file+", name: "+name+"}", 1)
	}
	clash := func(at, node, file, name, other string) string {
		return fmt.Sprintf("batch.yaml:%s: node %s runs %s, which would be saved as %s, and so would the pipeline in %s; give it another name: {name: ..., file: ...}",
			at, node, filepath.Join(dir, file), name, filepath.Join(dir, other))
	}
	for name, test := range map[string]struct{ text, want string }{
		"one file twice":             {batchText("a.yaml", "./a.yaml", "b.yaml") + hosted, ""},
		"one file, two names":        {named(batchText("a.yaml", "a.yaml"), "a.yaml", "c") + hosted, ""},
		"it names itself":            {batchText("self.yaml") + hosted, ""},
		"two files":                  {batchText("a.yaml", "self.yaml") + hosted, clash("7:47", "run1", "self.yaml", "a", "a.yaml")},
		"the outer one":              {named(batchText("a.yaml"), "a.yaml", "main") + hosted, clash("6:47", "run0", "a.yaml", "main", "batch.yaml")},
		"further in":                 {named(batchText("self.yaml", "b.yaml"), "b.yaml", "a") + hosted, clash("7:47", "run1", "b.yaml", "a", "self.yaml")},
		"two files, here":            {batchText("a.yaml", "b.yaml") + "", ""},
		"the outer one, here":        {named(batchText("a.yaml"), "a.yaml", "main"), ""},
		"a name that two have, here": {batchText("a.yaml", "self.yaml"), "self.yaml:4:46: node again runs the pipeline a, and both " + filepath.Join(dir, "a.yaml") + " and " + filepath.Join(dir, "self.yaml") + " hold one of that name"},
	} {
		got := errorsOf(t, dir, test.text)
		if test.want == "" && got != "" {
			t.Errorf("%s: %s", name, got)
		}
		mustContain(t, got, test.want)
	}
}

// TestOutputCompleteOfSubs: it would be lost behind the output that every node has.
func TestOutputCompleteOfSubs(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), strings.ReplaceAll(subText("a"), "  out:", "  complete:"))
	text := strings.Replace(batchText("a.yaml"), "run0.out", "run0.complete", 1)
	want := "batch.yaml:6:47: output complete of " + filepath.Join(dir, "a.yaml") + " has the name of the output that every node has; rename it"
	mustContain(t, errorsOf(t, dir, text), want)
	f, problems := Parse(filepath.Join(dir, "batch.yaml"), []byte(text+"run: {backend: vectorshift}\n"), Options{})
	_, warnings := problems.Split()
	mustContain(t, warnings.Error(), strings.Replace(want, ": output", ": warning: output", 1))
	if outs := f.Pipeline.Node("run0").Outputs(); len(outs) != 1 || outs[0].Type != "path" {
		t.Errorf("%v", outs)
	}
}
