package vectorshift

import (
	"cmp"
	"fmt"
	"slices"

	"nightshift/schema"
)

// label names a node in what is said to people.
func (n *Node) label() string { return fmt.Sprintf("node %s (%s)", cmp.Or(n.Name, n.ID), n.Type) }

// notes tells what is worth knowing beside the changes, a line each: keys that are not
// sent or cannot be compared, and nodes that lose those they use.
func (d *draft) notes(writes bool) (lines []string) {
	for _, n := range d.nodes {
		say := func(input, what string) {
			lines = append(lines, fmt.Sprintf("node %s: its %s %s", cmp.Or(n.Name, n.ID), input, what))
		}
		t := schema.LookupNodeType(n.Type)
		for _, input := range n.held {
			if takesPersonalKey(t) {
				say(input, "is not sent to the platform; write use_personal_api_key: true to send it")
			} else {
				say(input, "is not sent to the platform: enter it there")
			}
		}
		if writes {
			for _, input := range n.masked {
				say(input, "cannot be read back from the platform and is not sent: declare it, or enter it there again")
			}
			continue
		}
		for _, input := range n.unreadable() {
			say(input, "cannot be compared with the one that the platform has: it is sent along with the next change")
		}
	}
	return append(lines, d.dangling()...)
}

// unreadable lists the inputs of which the platform shows but a mask, though they are
// set here.
func (n *wired) unreadable() (inputs []string) {
	if n.old == nil {
		return nil
	}
	t := schema.LookupNodeType(n.Type)
	for _, input := range union(n.old.Inputs, n.inputs) {
		if n.inputs[input] != nil && isMask(n.old.Inputs[input]) && isSecret(t, input) {
			inputs = append(inputs, input)
		}
	}
	return inputs
}

// dangling names the nodes that were made elsewhere and use nodes that are removed.
func (d *draft) dangling() (lines []string) {
	gone := map[string]*Node{}
	for _, n := range d.gone {
		gone[n.ID] = n
	}
	for _, n := range d.nodes {
		if n.own != nil || !d.foreign(n.Node) {
			continue
		}
		for _, source := range slices.Concat(d.was.sources[n.ID], d.was.cyclic[n.ID]) {
			if other := gone[source]; other != nil {
				lines = append(lines, fmt.Sprintf("%s, which was made elsewhere, uses %s, which is removed", n.label(), other.label()))
			}
		}
	}
	return lines
}
