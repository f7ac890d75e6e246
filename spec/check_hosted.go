package spec

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// warnLocal warns of words that only the engine of this machine knows.
func (d *document) warnLocal(n *Node, t *schema.NodeType) {
	for _, f := range t.Inputs {
		if f.Local == nil {
			continue
		}
		eachScalar(valueOf(n.inputsAt, f.Name), func(s *yaml.Node) {
			if !slices.Contains(f.Local, s.Value) {
				return
			}
			known := slices.DeleteFunc(slices.Clone(f.Enum), func(word string) bool { return slices.Contains(f.Local, word) })
			d.warn(d.problem(s, "node %s (%s): %s %s is known on this machine only; the platform has %s", n.Name, n.Type, f.Name, s.Value, strings.Join(known, ", ")))
		})
	}
}
