package vectorshift

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"nightshift/runner"
	"nightshift/spec"
)

// family is a pipeline with those that its nodes run: those from files are saved
// before it, those that are named are looked up.
type family struct {
	client *Client
	kin    []*kin            // inner ones first, the pipeline itself last
	named  map[string]string // ids of what nodes name and is not saved here
	notes  []string          // about all but the pipeline itself
}

// kin is one of the pipelines that are saved.
type kin struct {
	declared *spec.Pipeline
	saved    *Pipeline
	created  bool
	action   runner.SaveAction
}

// familyOf finds what a pipeline brings along. Nothing is asked of the platform yet.
func (c *Client) familyOf(sp *spec.Pipeline) (*family, error) {
	f := &family{client: c, named: map[string]string{}}
	if err := f.add(sp); err != nil {
		return nil, err
	}
	for _, k := range f.kin {
		for _, n := range k.declared.Nodes {
			if ref, ok := refOf(n); ok && ref.File == "" && ref.Name != "" && f.called(ref.Name) == nil {
				f.named[ref.Name] = ""
			}
		}
	}
	return f, nil
}

// refOf gives what a pipeline node runs, where a file or a name says it.
func refOf(n *spec.Node) (ref spec.PipelineRef, ok bool) {
	if n.Type != "pipeline" {
		return ref, false
	}
	ref, err := n.PipelineRef()
	return ref, err == nil
}

func (f *family) add(sp *spec.Pipeline) error {
	other := f.called(sp.Name)
	if other != nil && slices.Equal(other.declared.Nodes, sp.Nodes) {
		return nil
	}
	for _, n := range sp.Nodes {
		switch ref, ok := refOf(n); {
		case !ok || ref.File == "":
		case n.Sub == nil:
			return fmt.Errorf("node %s: the pipeline file %s was not read", n.Name, ref.File)
		default:
			if err := f.add(n.Sub); err != nil {
				return err
			}
		}
	}
	if other != nil || f.called(sp.Name) != nil {
		return fmt.Errorf("two pipelines would be saved as %s; give one of them another name", sp.Name)
	}
	f.kin = append(f.kin, &kin{declared: sp})
	return nil
}

// called gives the pipeline of that name that is saved, or nil.
func (f *family) called(name string) *kin {
	for _, k := range f.kin {
		if name != "" && k.declared.Name == name {
			return k
		}
	}
	return nil
}

// find looks up everything that is there. Nothing is written.
func (f *family) find(ctx context.Context) (err error) {
	for _, k := range slices.Backward(f.kin) {
		if k.saved, k.created, err = f.client.find(ctx, k.declared); err == nil && !k.created && k.declared.Nodes != nil {
			err = k.saved.whole()
		}
		if err != nil {
			return f.said(k, err)
		}
	}
	for _, k := range f.kin {
		for _, n := range k.declared.Nodes {
			ref, _ := refOf(n)
			id, asked := f.named[ref.Name]
			if !asked || id != "" {
				continue
			}
			var p *Pipeline
			err := again(ctx, func() (err error) {
				p, err = f.client.Fetch(ctx, Which{Name: ref.Name})
				return err
			})
			switch {
			case isNotFound(err):
				return f.said(k, fmt.Errorf("node %s runs the pipeline %s, and there is none of that name; save it first, or name its file: {name: %s, file: ...}", n.Name, ref.Name, ref.Name))
			case err != nil:
				return f.said(k, fmt.Errorf("node %s runs the pipeline %s: %w", n.Name, ref.Name, err))
			}
			f.named[ref.Name] = p.ID
		}
	}
	return nil
}

// ready creates a pipeline that is new, and those that its nodes name, so that all have
// ids.
func (f *family) ready(ctx context.Context, k *kin) error {
	for _, n := range k.declared.Nodes {
		ref, _ := refOf(n)
		if outer := f.called(ref.Name); outer != nil && outer != k { // it runs what it stands in
			if err := f.create(ctx, outer); err != nil {
				return err
			}
		}
	}
	return f.create(ctx, k)
}

func (f *family) create(ctx context.Context, k *kin) error {
	if !k.created || k.saved.ID != "" {
		return nil
	}
	p, err := f.client.create(ctx, k.declared.Name, k.declared.Description, nil)
	if err == nil {
		p.Others, err = f.client.others(ctx, p)
	}
	if err != nil {
		return f.said(k, err)
	}
	k.saved = p
	return nil
}

// said says which pipeline an error is about, if it is not the one that is to be saved.
func (f *family) said(k *kin, err error) error {
	if k == f.main() {
		return err
	}
	return fmt.Errorf("pipeline %s, which it runs: %w", k.declared.Name, err)
}

func (f *family) main() *kin { return f.kin[len(f.kin)-1] }

// subs tells what has become of all but the pipeline itself.
func (f *family) subs() (subs []Sub) {
	for _, k := range f.kin[:len(f.kin)-1] {
		subs = append(subs, Sub{k.saved.ID, k.saved.Name, k.action})
	}
	return subs
}

// linked is the pipeline with its nodes saying by id which pipelines they run.
func (f *family) linked(sp *spec.Pipeline) *spec.Pipeline {
	linked := *sp
	linked.Nodes = slices.Clone(sp.Nodes)
	for i, n := range linked.Nodes {
		ref, ok := refOf(n)
		if !ok {
			continue
		}
		if n.Sub != nil {
			ref.Name = n.Sub.Name
		}
		id := ref.ID
		if k := f.called(ref.Name); ref.Name != "" && k != nil {
			if id = k.saved.ID; id == "" { // it is looked at only
				id = "of " + ref.Name + ", which is new"
			}
		} else if ref.Name != "" {
			id = f.named[ref.Name]
		}
		linked.Nodes[i] = withPipeline(n, id)
	}
	return &linked
}

// withPipeline is a pipeline node that runs the one of an id. What is written in the
// form of the platform stays.
func withPipeline(n *spec.Node, id string) *spec.Node {
	linked := *n
	linked.Inputs = map[string]any{}
	for name, v := range n.Inputs {
		if fields, isMap := v.(map[string]any); (name == "pipeline" || name == "pipeline_id" && n.Inputs["pipeline"] == nil) && fields["object_id"] == nil && (isMap || name == "pipeline") {
			v = map[string]any{"object_id": id, "object_type": json.Number("0")}
		}
		linked.Inputs[name] = v
	}
	return &linked
}

// sameObject tells whether the platform's form of an object, as it was fetched, is the
// one that is given with what the platform knows beside it, such as a branch.
func sameObject(given, fetched any) bool {
	now, old := object(given), object(fetched)
	if len(now) == 0 || now["object_id"] == nil {
		return false
	}
	for name, v := range now {
		if !equal(plain(v), plain(old[name])) {
			return false
		}
	}
	return true
}

// save saves one of them. lines tell what is written, those of a pipeline that another
// one runs with its name.
func (f *family) save(ctx context.Context, k *kin, o SaveOptions, lookOnly bool) (lines []string, err error) {
	p := k.saved
	kept := p.declare(f.linked(k.declared))
	d := p.draft()
	lines = d.changes()
	switch {
	case k.created:
		k.action, lines = runner.Created, nil
	case lines != nil || o.writes():
		k.action = runner.Updated
	default:
		k.action = runner.Unchanged
	}
	p.Notes = append(kept, d.notes(k.action != runner.Unchanged)...)
	if k.action == runner.Unchanged && p.newDescription() != "" {
		p.Notes = append(p.Notes, "the platform has another description, which is kept: the new one is sent along with the next change")
	}
	if !lookOnly && k.action != runner.Unchanged {
		if err := d.save(ctx, o); err != nil {
			return nil, err
		}
	}
	if k == f.main() {
		p.Notes = append(f.notes, p.Notes...)
		return lines, nil
	}
	for _, note := range p.Notes {
		f.notes = append(f.notes, "pipeline "+p.Name+": "+note)
	}
	if len(p.Others) > 0 {
		f.notes = append(f.notes, fmt.Sprintf("pipeline %s: there are others of that name: %s; %s, which was changed last, is taken", p.Name, strings.Join(p.Others, ", "), p.ID))
	}
	switch {
	case k.created:
		return []string{"pipeline " + p.Name + " is created"}, nil
	case lines == nil && k.action == runner.Updated:
		return []string{"pipeline " + p.Name + " is published"}, nil
	}
	for i, line := range lines {
		lines[i] = "pipeline " + p.Name + ": " + line
	}
	return lines, nil
}
