package spec

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestNodeReferences: the scanner finds what the pattern matches.
func TestNodeReferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.SampledFrom([]string{"{{", "}}", "{", "}", ".", " ", "\n", "\f", "\v", "a", "_9", "Z.b", "é", "-", "{{ a.b }}", "{{a.b.c"}))
		s := ""
		for _, p := range pieces.Draw(t, "pieces") {
			s += p
		}
		if diff := cmp.Diff(nodeReference().FindAllStringSubmatchIndex(s, -1), nodeReferences(s)); diff != "" {
			t.Errorf("%q (-pattern +scanner):\n%s", s, diff)
		}
	})
}
