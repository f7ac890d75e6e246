package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

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
	return parseFile(path, source, opts)
}

// Parse is Load for the text of a batch file; path names it in problems, and
// relative paths in it start from its folder.
func Parse(path string, source []byte, opts Options) (*File, schema.Problems) {
	return parseFile(path, source, opts)
}

func parseFile(path string, source []byte, opts Options) (*File, schema.Problems) {
	if opts.Env == nil {
		opts.Env = os.LookupEnv
	}
	d := parseDocument(path, source)
	if d.root == nil || len(d.problems) > 0 {
		return nil, d.problems.Sort()
	}
	d.env = opts.Env
	d.applySets(opts.Set)
	d.secretsOf(opts.Env)
	d.expand(d.root, opts.Env)
	d.report(schema.ValidateBatch(d.root)...)

	// The rest makes sense of what it can even where the schema found mistakes,
	// so that all of a file's problems are seen at once.
	f := d.decode()
	d.checkPipeline(f.Pipeline)
	for _, b := range f.Batches {
		d.checkBatch(b)
	}
	d.checkResults(f)
	problems := d.problems
	if doc := f.Pipeline.doc; doc != d {
		problems = slices.Concat(problems, doc.problems)
	}
	return f, problems.Sort()
}

// loadPipelineFile reads the file that `pipeline: {file: ...}` names.
func (d *document) loadPipelineFile(path string) *document {
	full := d.path(path)
	source, err := readFile(full)
	if err != nil {
		p := &document{file: full, redact: d.redact}
		p.problems = schema.Problems{{File: full, Message: fmt.Sprintf("cannot read the pipeline file: %v", reason(err))}}
		return p
	}
	p := parseDocument(full, source)
	p.redact = d.redact
	if p.root != nil && len(p.problems) == 0 {
		p.expand(p.root, d.env)
		p.report(schema.ValidatePipeline(p.root)...)
	}
	return p
}

// path makes a path of the file relative to the file's folder.
func (d *document) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(d.file), p)
}
