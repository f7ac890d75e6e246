package vectorshift

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"

	"nightshift/schema"
	"nightshift/spec"
)

// Changes tells what Save would write, a line each; nil: nothing. What the platform
// has put in beside what was saved is no change, nor are places on the canvas.
func (p *Pipeline) Changes() []string {
	var lines []string
	before := map[string]*Node{}
	fetched := nodesOf(p.object)
	for _, n := range fetched {
		before[n.ID] = n
	}
	if old, there := p.object["description"].(string); there && old != p.Description {
		lines = append(lines, "description"+change(old, p.Description))
	}
	g := graphOf(p.nodes)
	for _, n := range p.nodes {
		if old := before[n.ID]; old == nil {
			lines = append(lines, n.label()+" is added")
		} else {
			lines = append(lines, n.changes(old, g.used[n.ID])...)
		}
		delete(before, n.ID)
	}
	for _, n := range fetched {
		if before[n.ID] != nil {
			lines = append(lines, n.label()+" is removed")
		}
	}
	if lines == nil && p.lacksEdges(g) {
		lines = []string{"the canvas lacks lines between nodes, which are drawn"}
	}
	return lines
}

// lacksEdges tells whether the canvas has edges, but not for all references.
func (p *Pipeline) lacksEdges(g *graph) bool {
	fetched, there := object(p.object["canvas_metadata"])["edges"].([]any)
	return there && slices.ContainsFunc(g.lines(), func(e edge) bool {
		return !slices.ContainsFunc(fetched, func(raw any) bool { return edgeOf(raw) == e })
	})
}

// changes tells how the node differs from what it was. The outputs that others use
// are to be among those that the platform lists.
func (n *Node) changes(old *Node, used map[string]bool) []string {
	var lines []string
	say := func(what, how string) { lines = append(lines, "node "+cmp.Or(n.Name, n.ID)+": "+what+how) }
	for _, text := range []struct{ what, old, now string }{
		{"name", old.Name, n.Name}, {"type", old.Type, n.Type}, {"execution_mode", old.ExecutionMode, n.ExecutionMode},
	} {
		if text.old != text.now {
			say(text.what, change(text.old, text.now))
		}
	}
	t := schema.LookupNodeType(n.Type)
	for _, name := range union(old.Inputs, n.Inputs) {
		f, _ := fieldOf(t, name)
		f.Name = name
		if how := inputChange(f, old.Inputs, n.Inputs); how != "" {
			say(name, how)
		}
	}
	for _, name := range union(old.CyclicInputs, n.CyclicInputs) {
		if how := inputChange(schema.Field{Name: name}, old.CyclicInputs, n.CyclicInputs); how != "" {
			say("cyclic_inputs."+name, how)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if old.Outputs != nil && !slices.Contains(old.Outputs, name) && !isCommonOutput(name) {
			say("output "+name, " is added")
		}
	}
	return lines
}

// inputChange tells how an input differs, or "".
func inputChange(f schema.Field, before, now map[string]any) string {
	old, had := before[f.Name]
	v, has := now[f.Name]
	v = plain(v)
	had, has = had && old != nil, has && v != nil
	switch {
	case equal(old, v), !has && meansNothing(f, old), !had && meansNothing(f, v):
		return ""
	case had && has && f.Secret && masked.MatchString(text(old)):
		return "" // the platform shows keys to nobody
	}
	hide := holdsSecret(f, old) || holdsSecret(f, v)
	switch {
	case had && has && hide:
		return " is changed"
	case had && has:
		return change(old, v)
	case has && hide:
		return " is added"
	case has:
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
	return equal(v, f.Default) || spec.IsEmpty(v) && spec.IsEmpty(f.Default)
}

var (
	masked     = regexp.MustCompile(`[*\x{2022}]{3}`)
	secretName = regexp.MustCompile(`(?i)key|secret|password|token|auth|credential|headers`)
)

// holdsSecret tells whether a value is not to be shown: keys, and what looks as if it
// may hold one.
func holdsSecret(f schema.Field, v any) bool {
	switch v.(type) {
	case nil, bool, json.Number:
		return f.Secret
	}
	return f.Secret || secretName.MatchString(f.Name)
}
