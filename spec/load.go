package spec

import (
	"fmt"
	"path/filepath"
	"slices"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// Options are what a batch file is read with, beside its own text.
type Options struct {
	Env Environment // variables; nil: those of the process
	Set []string    // path=value, put into the file before it is checked
}

// Load reads a batch file and checks all of it: syntax, schema, every node's
// inputs, references, cycles, input names, sources. The problems hold
// everything that is wrong at once, and warnings; where one of them is no
// warning, the file must not be used.
func Load(path string, opts Options) (*File, schema.Problems) {
	source, err := readFile(path)
	if err != nil {
		return nil, schema.Problems{{File: path, Message: fmt.Sprintf("cannot read the batch file: %v", reason(err))}}
	}
	return Parse(path, source, opts)
}

// Parse is Load for the text of a batch file; path names it in problems, and
// relative paths in it start from its folder.
func Parse(path string, source []byte, opts Options) (*File, schema.Problems) {
	return parse(path, source, newReading(opts))
}

func parse(path string, source []byte, r *reading) (*File, schema.Problems) {
	schema.Prepare()
	r.path = absolute(path)
	r.keep(path, source)
	d := parseDocument(path, source, &Redactor{})
	if d.root == nil {
		return nil, d.problems.Sort()
	}
	d.reading = r
	d.subs, d.within = &subFiles{byPath: map[string]*subFile{}}, []*subFile{{doc: d}}
	d.applySets(r.sets)
	d.secretsOf()
	d.expand(d.root)
	if !d.readable(d.root) {
		return nil, d.problems.Sort()
	}
	d.report(schema.ValidateBatch(d.root)...)

	// The rest makes sense of what it can even where the schema found mistakes,
	// so that all of a file's problems are seen at once.
	f := d.decode()
	f.read, r.redact = r, f.Redactor
	d.checkPipeline(f.Pipeline)
	for _, b := range f.Batches {
		d.checkBatch(b)
	}
	d.checkStdin(f)
	d.checkResults(f)
	problems := d.problems
	r.docs = append(r.docs, d)
	for _, sub := range d.subs.all {
		problems = slices.Concat(problems, sub.doc.problems)
		r.docs = append(r.docs, sub.doc)
	}
	return f, problems.Sort()
}

// readable reports values that have no plain form, such as .nan.
func (d *document) readable(n *yaml.Node) bool {
	before := len(d.problems)
	eachScalar(n, func(s *yaml.Node) {
		if _, err := schema.Value(s); err != nil {
			d.report(d.problem(s, "%v", err))
		}
	})
	return len(d.problems) == before
}

// path makes a path of the file relative to the file's folder.
func (d *document) path(p string) string {
	return PathIn(filepath.Dir(d.file), p)
}
