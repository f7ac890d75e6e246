package vectorshift

import (
	"cmp"
	"maps"
	"slices"

	"nightshift/schema"
	"nightshift/spec"
)

// Changes tells what Save would write, a line each; nil: nothing. What the platform
// has put in beside what was saved is no change, nor are places and lines on the canvas.
// Another description alone is none either.
func (p *Pipeline) Changes() []string { return p.draft().changes() }

func (d *draft) changes() []string {
	var lines []string
	for _, n := range d.nodes {
		switch {
		case n.old == nil:
			lines = append(lines, n.label()+" is added")
		case !n.untouched() || !d.foreign(n.Node):
			lines = append(lines, n.changes(d.graph.used[n.ID])...)
		}
	}
	for _, n := range d.gone {
		lines = append(lines, n.label()+" is removed")
	}
	if description := d.newDescription(); lines != nil && description != "" {
		lines = append(lines, "description"+change(text(d.object["description"]), description))
	}
	return lines
}

// changes tells how the node differs from what it was. The outputs that others use
// are to be among those that the platform lists.
func (n *wired) changes(used map[string]bool) []string {
	var lines []string
	say := func(what, how string) { lines = append(lines, "node "+cmp.Or(n.Name, n.ID)+": "+what+how) }
	for _, text := range []struct{ what, old, now string }{
		{"name", n.old.Name, n.Name}, {"type", n.old.Type, n.Type}, {"execution_mode", n.old.ExecutionMode, n.ExecutionMode},
	} {
		if text.old != text.now {
			say(text.what, change(text.old, text.now))
		}
	}
	t := schema.LookupNodeType(n.Type)
	fetched := object(n.old.raw["inputs"])
	for _, name := range union(fetched, n.inputs) {
		f, _ := fieldOf(t, name)
		if isMask(fetched[name]) && isSecret(t, name) {
			continue // the platform shows keys to nobody
		}
		if how := inputChange(f, n.old.Inputs, n.Inputs, fetched, n.inputs); how != "" {
			say(name, how)
		}
	}
	fetched = object(n.old.raw["cyclic_inputs"])
	for _, name := range union(fetched, n.cyclic) {
		f := schema.Field{Name: name}
		if how := inputChange(f, n.old.CyclicInputs, n.CyclicInputs, fetched, n.cyclic); how != "" {
			say("cyclic_inputs."+name, how)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if n.old.Outputs != nil && !slices.Contains(n.old.Outputs, name) && !isCommonOutput(name) {
			say("output "+name, " is added")
		}
	}
	return lines
}

// inputChange tells how an input differs on the wire, or "". It is shown by name,
// where that shows the difference.
func inputChange(f schema.Field, before, now, wireBefore, wireNow map[string]any) string {
	old, v := wireBefore[f.Name], wireNow[f.Name]
	if same(f, old, v) || v == nil && meansNothing(f, old) || old == nil && meansNothing(f, v) {
		return ""
	}
	hide := holdsSecret(f, old) || holdsSecret(f, v)
	if a, b := before[f.Name], plain(now[f.Name]); !same(f, a, b) {
		old, v = a, b
	}
	switch {
	case old != nil && v != nil && hide:
		return " is changed"
	case old != nil && v != nil:
		return change(old, v)
	case v != nil && hide:
		return " is added"
	case v != nil:
		return ": " + shown(v, 0) + " is added"
	case hide:
		return " is removed"
	}
	return ": " + shown(old, 0) + " is removed"
}

func union(a, b map[string]any) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// meansNothing tells whether an input that is set to v is as good as not set.
func meansNothing(f schema.Field, v any) bool {
	return same(f, v, f.Default) || spec.IsEmpty(v) && spec.IsEmpty(f.Default)
}
