package spec

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// Limits of what the nodes of a batch file bring in.
const (
	maxSubFiles = 200     // pipeline files
	maxCode     = 1 << 20 // bytes of a file with code
)

// subFiles are the pipeline files of a batch file, its own and those that nodes
// name. However many nodes name a file, it is read once.
type subFiles struct {
	byPath map[string]*subFile // by absolute path
	all    []*subFile          // in the order in which they were met
	full   bool
}

// subFile is one of them.
type subFile struct {
	doc      *document
	pipeline *Pipeline
	below    int   // how deep pipelines stand in one another inside of it
	unnamed  bool  // nobody gives it a name, and it should have one
	err      error // it cannot be read
}

// enter reads a pipeline file that is not known yet; within are the files that it
// stands in. It is nil where there are too many.
func (s *subFiles) enter(from *document, within []*subFile, path string) *subFile {
	key := absolute(path)
	f := s.byPath[key]
	switch {
	case f != nil:
		return f
	case len(s.all) == maxSubFiles:
		return nil
	}
	f = &subFile{}
	s.byPath[key], s.all = f, append(s.all, f)
	f.doc, f.err = from.readPipelineFile(path)
	f.doc.subs, f.doc.within = s, append(slices.Clone(within), f)
	f.pipeline = f.doc.decodePipeline(f.doc.root)
	return f
}

// loadPipelineFile reads the file that `pipeline: {file: ...}` names.
func (d *document) loadPipelineFile(at *yaml.Node, path string) *Pipeline {
	f := d.subs.enter(d, nil, d.path(path))
	if f.err != nil {
		d.report(d.problem(at, "cannot read the pipeline file %s: %v", f.doc.file, reason(f.err)))
	}
	return f.pipeline
}

// loadSub reads the file that a pipeline node names; nil where there is none that
// could be used.
func (d *document) loadSub(n *Node) *Pipeline {
	ref, err := n.PipelineRef()
	if err != nil || ref.File == "" {
		return nil // checkSub says so
	}
	at := valueOf(valueOf(n.inputsAt, n.pipelineInput()), "file")
	f := d.subs.enter(d, d.within, d.path(ref.File))
	if f == nil {
		if !d.subs.full {
			d.subs.full = true
			d.report(d.problem(at, "the nodes name more than %d pipeline files", maxSubFiles))
		}
		return nil
	}
	if i := slices.Index(d.within, f); i >= 0 {
		var names []string
		for _, outer := range d.within[i:] {
			names = append(names, outer.doc.file)
		}
		names = append(names, f.doc.file)
		d.report(d.problem(at, "pipeline files run one another in a circle: %s; a pipeline that runs itself says so by its name", arrows(names)))
		return nil
	}
	self := d.within[len(d.within)-1]
	self.below = max(self.below, 1+f.below)
	switch {
	case f.err != nil:
		d.report(d.problem(at, "cannot read the pipeline file %s: %v", f.doc.file, reason(f.err)))
		return nil
	case len(d.within)+f.below > MaxSubDepth:
		d.report(d.problem(at, "pipelines stand more than %d deep inside one another", MaxSubDepth))
		return nil
	case f.pipeline.Nodes == nil:
		return nil // as its own problems say
	case ref.Name == "":
		f.unnamed = f.unnamed || f.pipeline.Name == ""
		return f.pipeline
	}
	named := *f.pipeline
	named.Name = ref.Name
	return &named
}

// readPipelineFile reads a pipeline file and checks its form. The document is never
// nil; its root is where it is of no use.
func (d *document) readPipelineFile(path string) (*document, error) {
	source, err := d.reading.file(path, maxDocument)
	if err != nil {
		return &document{file: path, redact: d.redact, reading: d.reading, inner: true}, err
	}
	p := parseDocument(path, source, d.redact)
	p.inner, p.reading = true, d.reading
	if p.root == nil {
		return p, nil
	}
	p.expand(p.root)
	if !p.readable(p.root) {
		p.root = nil
		return p, nil
	}
	p.report(schema.ValidatePipeline(p.root)...)
	for _, key := range []string{"id", "file"} {
		if valueOf(p.root, key) != nil {
			p.report(p.problem(keyOf(p.root, key), "a pipeline file holds name and nodes; %s belongs into the batch file", key))
		}
	}
	return p, nil
}

// loadCode reads the file of JavaScript that a transformation node names.
func (d *document) loadCode(n *Node) {
	at := valueOf(valueOf(n.inputsAt, "transformation"), "file")
	if at == nil || at.Kind != yaml.ScalarNode || at.Value == "" || ParseTemplate(at.Value).holdsRefs() {
		return // the engine says so
	}
	code, err := d.reading.file(d.path(at.Value), maxCode)
	if err = unread(at.Value, err); err == nil && !utf8.Valid(code) {
		err = fmt.Errorf("%s is not text in UTF-8", at.Value)
	}
	if err != nil {
		d.report(d.problem(at, "%v", err))
		return
	}
	n.Code, n.CodeFile = string(bytes.TrimPrefix(code, []byte("\xef\xbb\xbf"))), d.path(at.Value)
}
