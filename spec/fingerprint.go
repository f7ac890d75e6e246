package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"strings"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// Digest stands for what the pipeline does as a batch runs it, by what runs it:
// 32 hex digits that change with the graph, with the files of pipelines and code that
// it names, with what the batch overrides, and with which saved pipeline is meant.
// Secrets are left out, so that a new key changes nothing.
func (f *File) Digest(b *Batch, hide *Redactor) string {
	p := f.Pipeline
	said := []any{f.engine(), b.SessionID, b.Version, p.withoutKeys(b.NodeInputOverrides)}
	if p.Nodes == nil {
		said = append(said, p.ID, p.Name)
	}
	said = append(said, p.said()...)
	for sub := range p.All() {
		if sub != p {
			said = append(said, sub.Name, sub.said())
		}
	}
	sum := sha256.Sum256(AppendJSON(nil, hide.Value(said)))
	return hex.EncodeToString(sum[:16])
}

// engine is what runs the pipeline: that of this program runs it on backend local as on
// backend temporal, so that results of the one can be gone on with on the other.
func (f *File) engine() string {
	if f.Run.Backend == "temporal" {
		return "local"
	}
	return f.Run.Backend
}

// said is what the nodes of a pipeline say. What the files say that they name is not
// in it, but what they name is.
func (p *Pipeline) said() []any {
	var said []any
	for _, n := range p.Nodes {
		said = append(said, n.Name, n.Type, n.ExecutionMode, n.withoutKeys(), n.CyclicInputs)
		if n.CodeFile != "" {
			said = append(said, n.Code)
		}
	}
	if len(p.Variables) > 0 {
		said = append(said, p.Variables)
	}
	return said
}

// withoutKeys are the inputs of a node but those that hold credentials.
func (n *Node) withoutKeys() map[string]any {
	inputs := maps.Clone(n.Inputs)
	maps.DeleteFunc(inputs, func(name string, _ any) bool { return n.isKey(name) })
	return inputs
}

// withoutKeys are overrides but those of credentials.
func (p *Pipeline) withoutKeys(overrides map[string]any) map[string]any {
	kept := maps.Clone(overrides)
	maps.DeleteFunc(kept, func(place string, _ any) bool {
		name, input, _ := strings.Cut(place, ".")
		n := p.Node(name)
		return n != nil && n.isKey(input)
	})
	return kept
}

// isKey tells whether an input of a node holds a credential.
func (n *Node) isKey(input string) bool {
	t := schema.LookupNodeType(n.Type)
	if t == nil {
		return false
	}
	field, ok := t.Input(input)
	return ok && field.Secret
}

// Fingerprint changes where the items of a batch may have changed: with the
// names, sizes and times of its files, the rows in the batch file, the map and
// the key. It is "" where that cannot be told, as of standard input.
func (b *Batch) Fingerprint() string {
	if !b.Source.Rereadable() {
		return ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", b.Key)
	h.Write(AppendJSON(nil, b.Map))
	for _, in := range b.pipeline.InputNodes() {
		fmt.Fprintf(h, "%q %s %v %s\n", in.Name, in.Type, in.HasDefault, AppendJSON(nil, in.Default))
	}
	if !b.Source.fingerprint(h) {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// fingerprint is false where a file cannot be looked at.
func (s *Source) fingerprint(h hash.Hash) bool {
	fmt.Fprintf(h, "%q\n", s.Format)
	writeNode(h, s.inline)
	for _, axis := range s.axes {
		fmt.Fprintf(h, "%q %s\n", axis.name, AppendJSON(nil, axis.values))
	}
	for _, n := range s.from {
		paths := []string{s.doc.path(n.Value)}
		if isGlob(n.Value) {
			matches, err := s.doc.glob(n.Value)
			if err != nil {
				return false
			}
			paths = matches
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil {
				return false
			}
			fmt.Fprintf(h, "%q %q %d %d\n", n.Value, path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return true
}

func writeNode(w io.Writer, n *yaml.Node) {
	if n == nil {
		return
	}
	fmt.Fprintf(w, "%d %s %q %d\n", n.Kind, n.Tag, n.Value, len(n.Content))
	writeNode(w, n.Alias)
	for _, c := range n.Content {
		writeNode(w, c)
	}
}
