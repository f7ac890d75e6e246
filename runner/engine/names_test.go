package engine

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

// towers are files of which each runs the next one five times; the last is as given.
func towers(height int, last string) map[string]string {
	files := map[string]string{fmt.Sprintf("f%d.yaml", height): last}
	for i := range height {
		var nodes strings.Builder
		nodes.WriteString("n: {type: input}\n")
		for k := range 5 {
			fmt.Fprintf(&nodes, "s%d: {type: pipeline, inputs: {pipeline: {file: f%d.yaml}, n: \"{{ n.text }}\"}}\n", k, i+1)
		}
		nodes.WriteString("out: {type: output, inputs: {value: \"{{ s0.out }}{{ s1.out }}{{ s2.out }}{{ s3.out }}{{ s4.out }}\"}}\n")
		files[fmt.Sprintf("f%d.yaml", i)] = nodes.String()
	}
	return files
}

// However many nodes name a file, it is compiled once, also where it names one that it
// stands in.
func TestFilesAreCompiledOnce(t *testing.T) { // not beside others: it counts what is allocated
	costs := func(last string) float64 {
		p, _ := loadPipeline(t, `
			n: {type: input}
			sub: {type: pipeline, inputs: {pipeline: {file: f0.yaml}, n: "{{ n.text }}"}}
			out: {type: output, inputs: {value: "{{ sub.out }}"}}
		`, towers(5, last))
		e := New(Options{})
		return testing.AllocsPerRun(1, func() {
			if problems := e.Check(p); len(problems) > 0 {
				t.Fatal(problems)
			}
		})
	}
	without := costs(`
		n: {type: input}
		out: {type: output, inputs: {value: "{{ n.text }}"}}
	`)
	with := costs(`
		n: {type: input}
		again: {type: pipeline, inputs: {pipeline: {name: main}, n: "{{ n.text }}"}}
		outer: {type: pipeline, inputs: {pipeline: {name: f0}, n: "{{ n.text }}"}}
		out: {type: output, inputs: {value: "{{ again.out }}{{ outer.out }}"}}
	`)
	if with > 2*without {
		t.Errorf("%v allocations, and %v where no file names what it stands in", with, without)
	}
}

// innerFile runs the pipeline outer: the one that it stands in, or the saved one.
const innerFile = `
	n: {type: input}
	c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ n.text }}", 3]]}]}}
	again: {type: pipeline, inputs: {pipeline: {name: outer}, n: "{{ n.text }}x", dependencies: ["{{ c.path_0 }}"]}}
	m: {type: merge, inputs: {fields: ["{{ again.out }}", "{{ n.text }}"]}}
	out: {type: output, inputs: {value: "{{ m.output }}"}}
`

// selfFile runs itself on one letter, the pipeline outer on two, and none on more.
const selfFile = `
	n: {type: input}
	c: {type: condition, inputs: {conditions: [{clauses: [[TextLengthLessThan, "{{ n.text }}", 2]]}, {clauses: [[TextLengthLessThan, "{{ n.text }}", 3]]}]}}
	self: {type: pipeline, inputs: {pipeline: {name: self}, n: "{{ n.text }}x", dependencies: ["{{ c.path_0 }}"]}}
	outer: {type: pipeline, inputs: {pipeline: {name: outer}, n: "{{ n.text }}x", dependencies: ["{{ c.path_1 }}"]}}
	m: {type: merge, inputs: {fields: ["{{ self.out }}", "{{ outer.out }}", "{{ n.text }}"]}}
	out: {type: output, inputs: {value: "self {{ m.output }}"}}
`

const outerFile = `
	n: {type: input}
	s: {type: pipeline, inputs: {pipeline: {file: inner.yaml}, n: "{{ n.text }}"}}
	out: {type: output, inputs: {value: "file {{ s.out }}"}}
`

// A name means what stands around the file that it is written in; where the file stands
// in several pipelines, the one that it is run in.
func TestNamesInFiles(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	keep := func(name, nodes string) {
		p := parsePipeline(t, nodes)
		p.Name = name
		if _, err := e.Save(t.Context(), p, runner.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	keep("outer", `
		n: {type: input}
		out: {type: output, inputs: {value: "saved {{ n.text }}"}}
	`)
	keep("calls", `
		n: {type: input}
		run: {type: pipeline, inputs: {pipeline: {name: outer}, n: "{{ n.text }}"}}
		out: {type: output, inputs: {value: "calls {{ run.out }}"}}
	`)
	for _, c := range []struct{ name, nodes, outer, want string }{
		{"first within", `
			n: {type: input}
			a: {type: pipeline, inputs: {pipeline: {file: outer.yaml}, n: "{{ n.text }}"}}
			b: {type: pipeline, inputs: {pipeline: {file: inner.yaml}, n: "{{ n.text }}"}}
			out: {type: output, inputs: {value: "{{ a.out }}, {{ b.out }}"}}
		`, outerFile, `{"out":"file file file xxx, saved xx"}`},
		{"first outside", `
			n: {type: input}
			b: {type: pipeline, inputs: {pipeline: {file: inner.yaml}, n: "{{ n.text }}"}}
			a: {type: pipeline, inputs: {pipeline: {file: outer.yaml}, n: "{{ n.text }}"}}
			out: {type: output, inputs: {value: "{{ a.out }}, {{ b.out }}"}}
		`, outerFile, `{"out":"file file file xxx, saved xx"}`},
		{"around the second turn of a file that runs itself", `
			n: {type: input}
			a: {type: pipeline, inputs: {pipeline: {file: outer.yaml}, n: "{{ n.text }}"}}
			out: {type: output, inputs: {value: "{{ a.out }}"}}
		`, strings.Replace(outerFile, "inner.yaml", "self.yaml", 1), `{"out":"file self self file self xxx"}`},
		{"in a saved one, which means what was there for it", `
			n: {type: input}
			a: {type: pipeline, inputs: {pipeline: {file: outer.yaml}, n: "{{ n.text }}"}}
			out: {type: output, inputs: {value: "{{ a.out }}"}}
		`, strings.Replace(outerFile, "{file: inner.yaml}", "{name: calls}", 1), `{"out":"file calls saved x"}`},
	} {
		id := saveFiles(t, e, c.nodes, map[string]string{"inner.yaml": innerFile, "outer.yaml": c.outer, "self.yaml": selfFile})
		same(t, c.name, asJSON(wait(t, e, start(t, e, id, runner.Inputs{"n": "x"})).Outputs), c.want)
	}
}

// Where no pipeline of the name is saved, the file is refused outside of it, whichever
// way it is come by first.
func TestUnknownNamesInFiles(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"outer inner", "inner outer"} {
		var nodes strings.Builder
		nodes.WriteString("n: {type: input}\n")
		for i, file := range strings.Fields(order) {
			fmt.Fprintf(&nodes, "s%d: {type: pipeline, inputs: {pipeline: {file: %s.yaml}, n: \"{{ n.text }}\"}}\n", i, file)
		}
		p, dir := loadPipeline(t, nodes.String(), map[string]string{"inner.yaml": innerFile, "outer.yaml": outerFile})
		problems := New(Options{}).Check(p)
		want := `node again: pipeline outer is not on this machine; fetch it with nightshift pull --name outer > sub.yaml, and name it by its file: pipeline: {file: sub.yaml}`
		if len(problems) != 1 || problems[0].Message != want || problems[0].File != filepath.Join(dir, "inner.yaml") || problems[0].Line != 5 {
			t.Errorf("%s: %v", order, problems)
		}
	}
}

// An override is of one node, and not of another that runs the same file.
func TestOverridesBesideASharedFile(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	id := saveFiles(t, e, `
		in: {type: input}
		one: {type: pipeline, inputs: {pipeline: {file: sub.yaml}, q: "{{ in.text }}"}}
		two: {type: pipeline, inputs: {pipeline: {file: sub.yaml}, q: "{{ in.text }}"}}
		out: {type: output, inputs: {value: "{{ one.a }} {{ two.a }}"}}
	`, map[string]string{"sub.yaml": `
		q: {type: input}
		a: {type: output, inputs: {value: "<{{ q.text }}>"}}
	`})
	for range 2 { // neither leaves anything in the other
		h, err := e.Start(t.Context(), id, runner.Inputs{"in": "x"}, runner.StartOptions{NodeInputOverrides: map[string]any{"two.q": "y"}})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "overridden", asJSON(wait(t, e, h).Outputs), `{"out":"<x> <y>"}`)
		same(t, "as it is", asJSON(wait(t, e, start(t, e, id, runner.Inputs{"in": "x"})).Outputs), `{"out":"<x> <x>"}`)
	}
}

// An output with the name of one that every node has would be lost.
func TestOutputComplete(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	const nodes = `
		q: {type: input}
		complete: {type: output, inputs: {value: "{{ q.text }}"}}
	`
	for name, p := range map[string]*spec.Pipeline{
		"other": parsePipeline(t, "s: {type: pipeline, inputs: {pipeline: {name: other}, q: x}}"),
		"p":     parsePipeline(t, nodes+"\n\t\ts: {type: pipeline, inputs: {pipeline: {name: p}, q: x}}"), // itself
	} {
		sub := parsePipeline(t, nodes)
		sub.Name = name
		saved, err := e.Save(t.Context(), sub, runner.SaveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "by itself", asJSON(wait(t, e, start(t, e, saved.PipelineID, runner.Inputs{"q": "x"})).Outputs), `{"complete":"x"}`)
		problems := e.Check(p)
		if want := "output complete of pipeline " + name + " has the name of the output that every node has; rename it"; len(problems) != 1 || problems[0].Message != want || problems[0].Line == 0 {
			t.Errorf("%v\nwant: %s", problems, want)
		}
	}
}
