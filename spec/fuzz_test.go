package spec

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"nightshift/schema"
)

func seeds(f *testing.F, patterns ...string) {
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern)
		if len(paths) == 0 {
			f.Fatalf("no seeds match %s", pattern)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
}

// FuzzParse reads batch files: whatever is in one, every problem has its place.
func FuzzParse(f *testing.F) {
	seeds(f, "../testdata/invalid/*.yaml", "../testdata/valid/*.yaml")
	env := lookupIn(map[string]string{"KEY": "swordfish"})
	f.Fuzz(func(t *testing.T, source []byte) {
		if bytes.Contains(source, []byte("from")) || bytes.Contains(source, []byte("file")) {
			return // it might read /dev/random
		}
		file, problems := Parse("batch.yaml", source, Options{Env: env})
		lines := len(yamlLines(string(source)))
		for _, p := range problems {
			switch {
			case p.File != "batch.yaml" || p.Line < 1 || p.Line > lines || p.Col < 1:
				t.Errorf("no place: %s", p)
			case p.Message == "" || !utf8.ValidString(p.String()+p.Snippet):
				t.Errorf("bad message: %q", p.String())
			}
		}
		if errs, _ := problems.Split(); len(errs) > 0 {
			return
		}
		if file == nil || file.Pipeline == nil || len(file.Batches) == 0 {
			t.Fatal("a file without problems has no pipeline or no batches")
		}
		for _, b := range file.Batches {
			checkRows(t, b, nil)
		}
		if bundle, err := file.Bundle(); err == nil {
			again, problems := bundle.Load(env)
			if errs, _ := problems.Split(); len(errs) > 0 {
				t.Fatalf("from its bundle: %s", errs.Error())
			}
			for i, b := range file.Batches {
				if file.Digest(b, file.Redactor) != again.Digest(again.Batches[i], again.Redactor) {
					t.Errorf("batch %s has another digest from its bundle", b.Name)
				}
			}
		}
	})
}

// checkRows holds what is true of any rows. Inline ones of a valid file may be many.
func checkRows(t *testing.T, b *Batch, source []byte) {
	ids := map[string]bool{}
	count := 0
	err := b.Items(bytes.NewReader(source), func(i Item) bool {
		switch {
		case i.ID == "" || i.Index != count:
			t.Errorf("item %d has the id %q and the index %d", count, i.ID, i.Index)
		case ids[i.ID] && (i.Err == nil || b.Key == ""):
			t.Errorf("id %s twice", i.ID)
		case (i.Err != nil && i.Err.Class == InvalidInput) != (i.Inputs == nil):
			t.Errorf("item %s has inputs %v and the error %v", i.ID, i.Inputs, i.Err)
		case i.Err != nil && (i.Err.Problem.Line < 1 || i.Err.Problem.Col < 1 || i.Err.Problem.Message == ""):
			t.Errorf("no place: %s", i.Err)
		case i.Err == nil:
			text := AppendJSON(nil, i.Inputs)
			if _, err := ParseJSON(text); err != nil {
				t.Errorf("inputs are no JSON: %s: %v", text, err)
			}
		}
		ids[i.ID] = true
		count++
		return count < 5000
	})
	if err != nil {
		if p := b.SourceProblem(err); p.File == "" || p.Line < 1 || p.Col < 1 || p.Message == "" {
			t.Errorf("no place: %s", p)
		}
	}
}

// streamed gives batches that read standard input in a format.
func streamed(f *testing.F, format string) []*Batch {
	plain := parsed(f, "", oneInput+"batches:\n  a: {from: '-', format: "+format+"}\n", Options{})
	mapped := parsed(f, "", oneInput+"batches:\n  b: {from: '-', format: "+format+`, map: {topic: "{{ row.topic }}{{ row.x.y }}"}, key: "{{ row.topic }}"}`+"\n", Options{})
	return append(plain.Batches, mapped.Batches...)
}

func FuzzJSONL(f *testing.F) {
	seeds(f, "../testdata/sources/*.jsonl", "../testdata/invalid/data/*.jsonl", "../testdata/invalid/data/*.json", "../testdata/sources/*.json")
	batches := append(streamed(f, "jsonl"), streamed(f, "json")...)
	f.Fuzz(func(t *testing.T, source []byte) {
		for _, b := range batches {
			checkRows(t, b, source)
		}
		if v, err := ParseJSON(source); err == nil {
			again, err := ParseJSON(AppendJSON(nil, v))
			if err != nil || !bytes.Equal(AppendJSON(nil, again), AppendJSON(nil, v)) {
				t.Errorf("%q is not what it was: %v", source, err)
			}
		}
	})
}

func FuzzCSV(f *testing.F) {
	seeds(f, "../testdata/sources/*.csv", "../testdata/invalid/data/*.csv")
	batches := append(streamed(f, "csv"), streamed(f, "txt")...)
	f.Fuzz(func(t *testing.T, source []byte) {
		for _, b := range batches {
			checkRows(t, b, source)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"", "{{ a.b }}", "x {{ row.a b }} {{ a.b.c }}", "{{{{a.b}}}}", "${A} $$ ${B:-c} ${C:?d}", "{{ a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, template := range []*Template{ParseTemplate(s), parseRowTemplate(s), ParseTemplate([]any{s, map[string]any{s: s}})} {
			for ref := range template.Refs() {
				if ref.Node == "" || strings.ContainsAny(ref.Node+ref.Output, "{}") {
					t.Errorf("%q: reference to %q.%q", s, ref.Node, ref.Output)
				}
			}
			same := func(r *Ref) any { return "{{" + r.Node + "." + r.Output + "}}" }
			if got := template.Text(same); template.Text(same) != got || utf8.ValidString(s) && !utf8.ValidString(got) {
				t.Errorf("%q became %q", s, got)
			}
		}
		if template := ParseTemplate(s); refsOf(template) == nil && template.Text(nil) != s {
			t.Errorf("%q without references became %q", s, template.Text(nil))
		}
		if got, err := expandText(s, lookupIn(map[string]string{"A": "1"})); err == nil && !strings.Contains(s, "$") && got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func FuzzEnvFile(f *testing.F) {
	for _, s := range []string{"A=b\n", "export A='b' # c\n", "A=\"b\\n\\\"\"", "A", "\ufeffA=1\r\nB=", "# c\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		path := filepath.Join(t.TempDir(), ".env")
		if err := os.WriteFile(path, source, 0o644); err != nil {
			t.Fatal(err)
		}
		vars, err := ReadEnvFile(path)
		if problems, ok := errors.AsType[schema.Problems](err); err != nil && (!ok || len(problems) == 0 || vars != nil) {
			t.Fatalf("%T %v with %v", err, err, vars)
		} else {
			for _, p := range problems {
				if p.Line < 1 || p.Line > 1+bytes.Count(source, []byte("\n")) {
					t.Errorf("no place: %s", p)
				}
			}
		}
		for name := range vars {
			if !isVariable(name) {
				t.Errorf("%q is no name", name)
			}
		}
	})
}
