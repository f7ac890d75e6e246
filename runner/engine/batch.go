package engine

import (
	"fmt"
	"strings"

	"nightshift/spec"
)

// batch is a node that runs once for each element of the lists that its inputs
// hold where they take something less deep, and whose outputs are lists of what
// the calls gave. Lists of one element are repeated. Of a node that waits, as
// many calls are under way as its run has turns.
type batch struct {
	spreads []spread
	state   memo // *elements
	each    memo
}

// spread is a reference of an input that may stand for a list of elements.
type spread struct {
	input string
	ref   *spec.Ref
	list  *spec.Template // written out in the place of one value; the reference stands for it
	depth int            // of lists that the input takes in this place
	known int            // of lists that the reference is said to give; -1: not known
}

// spread parses the value of an input of a type, and notes where a call is to
// find one element only.
func (b *batch) spread(s *setup, typ, name string, value any) *spec.Template {
	wanted := depth(typ)
	if list, written := value.([]any); written && wanted >= 0 && deeper(list, wanted) {
		t := spec.ParseTemplate("{{ list.elements }}")
		ref, _ := t.Whole()
		b.spreads = append(b.spreads, spread{input: name, ref: ref, list: s.bind(list), known: -1})
		return t
	}
	t := s.bind(value)
	b.find(s, name, value, t, wanted)
	return t
}

// deeper tells whether a list, as it is written, is one of lists of some depth. The
// references in it may stand for those.
func deeper(list []any, depth int) bool {
	found := depth == 0
	for _, item := range list {
		inner, isList := item.([]any)
		switch _, ref := spec.ParseTemplate(item).Whole(); {
		case depth == 0 || ref:
		case !isList || !deeper(inner, depth-1):
			return false
		default:
			found = true
		}
	}
	return found
}

// find notes the references of a value that takes lists of some depth; those in
// records are what they are.
func (b *batch) find(s *setup, name string, value any, t *spec.Template, wanted int) {
	if _, isMap := value.(map[string]any); isMap || wanted < 0 {
		return
	}
	if items, ok := t.Items(); ok {
		written, _ := value.([]any)
		for i, item := range items {
			b.find(s, name, written[i], item, max(0, wanted-1))
		}
		return
	}
	if _, whole := t.Whole(); !whole {
		wanted = 0 // inside of text
	}
	for ref := range t.Refs() {
		known := -1
		if typ := s.slots[[2]string{ref.Node, ref.Output}].typ; typ != "" && !open(typ) {
			known = depth(typ)
		}
		b.spreads = append(b.spreads, spread{input: name, ref: ref, depth: wanted, known: known})
	}
}

// depth is how many lists a type has around its elements. What takes anything takes
// one element; JSON stays whole: -1.
func depth(typ string) int {
	if typ == "json" {
		return -1
	}
	return strings.Count(typ, "vec<")
}

// open tells whether the elements of a type may be lists themselves.
func open(typ string) bool {
	typ = strings.TrimRight(typ, ">")
	typ = typ[strings.LastIndex(typ, "<")+1:]
	return typ == "any" || typ == "json"
}

// elements are those of a value that is a list of what the input takes.
func (p *spread) elements(v any) (list []any, is bool) {
	list, is = v.([]any)
	switch {
	case !is || p.known >= 0 && p.known <= p.depth:
		return nil, false
	case p.known > p.depth || p.depth == 0:
		return list, true
	}
	for inner, at := any(list), 0; at < p.depth; at++ { // as deep as it looks
		l, _ := inner.([]any)
		if len(l) == 0 {
			return nil, false
		}
		if _, deeper := l[0].([]any); !deeper {
			return nil, false
		}
		inner = l[0]
	}
	return list, true
}

// lists evaluates what is spread, and says how many calls that makes: one where
// nothing is a list.
func (b *batch) lists(c *call) (lists map[*spec.Ref][]any, n int, err error) {
	lists, n = map[*spec.Ref][]any{}, 1
	longest := ""
	for i := range b.spreads {
		p := &b.spreads[i]
		var v any
		if p.list != nil {
			v = p.list.Value(c.get)
		} else {
			v = c.get(p.ref)
		}
		list, is := p.elements(v)
		if !is {
			lists[p.ref] = []any{v} // also when the run is resumed
			continue
		}
		lists[p.ref] = list
		switch size := len(list); {
		case size == 1 || longest != "" && size == n:
		case longest != "":
			return nil, 0, fmt.Errorf("execution_mode batch: input %q has %d elements, but %q has %d; lists must be as long as each other, or have one element", p.input, size, longest, n)
		default:
			longest, n = p.input, size
		}
	}
	return lists, n, nil
}

// elements are what a batch has while its run is suspended.
type elements struct {
	n      int
	values map[*spec.Ref][]any // what is spread, as it was at first: one value for all, or one for each
	lists  [][]any             // the outputs so far; nil: nobody asks for this one
	keeps  [][]any             // memos of the elements; nil where they have none
}

// begin evaluates what is spread.
func (b *batch) begin(c *call, memos int) (*elements, error) {
	values, n, err := b.lists(c)
	if err != nil {
		return nil, err
	}
	all := &elements{n: n, values: values, lists: make([][]any, c.node.count)}
	for i := range all.lists {
		slot := c.node.first + i
		if slot != c.node.complete && (c.run.program.asked[slot] || c.run.watcher != nil) {
			all.lists[i] = make([]any, n)
		}
	}
	if memos > 0 {
		all.keeps = make([][]any, n)
	}
	return all, nil
}

// element makes a call that of an element, whose outputs own takes.
func (all *elements) element(c *call, i int, own []any, memos int) {
	get := c.get
	c.own, c.kept, c.element = own, nil, true
	c.get = func(ref *spec.Ref) any {
		if list, ok := all.values[ref]; ok {
			return list[min(i, len(list)-1)]
		}
		return get(ref)
	}
	if all.keeps != nil {
		if all.keeps[i] == nil {
			all.keeps[i] = make([]any, memos)
		}
		c.kept = all.keeps[i]
	}
}

// ended takes over what the call of an element gave.
func (all *elements) ended(i int, own []any) {
	for o, list := range all.lists {
		if list != nil {
			list[i] = own[o]
		}
	}
	if all.keeps != nil {
		all.keeps[i] = nil
	}
}

// batched makes a step of that for one element.
func (s *setup) batched(one step) step {
	b, memos, blocking, leaf := s.batch, s.made.memos, s.made.blocking, s.leaf
	if blocking {
		b.state, b.each = s.memo(), s.memo()
	}
	return func(c *call) (err error) {
		var all *elements
		if blocking {
			all, _ = c.kept[b.state].(*elements)
		}
		if all == nil {
			if all, err = b.begin(c, memos); err != nil {
				return err
			}
		}
		work := func(e *call, i int, own []any) error {
			all.element(e, i, own, memos)
			err := one(e)
			if err == nil {
				all.ended(i, own)
			}
			return err
		}
		if blocking {
			c.kept[b.state] = all
			var t turns
			if leaf {
				t = c.run.turns
			}
			_, err = eachBy(c, t, b.each, all.n, func(e *call, i int) (struct{}, error) {
				return struct{}{}, work(e, i, make([]any, len(all.lists)))
			})
		} else {
			own := make([]any, len(all.lists))
			err = inTurn(c, all.n, func(e *call, i int) error {
				clear(own)
				return work(e, i, own)
			})
		}
		if err != nil {
			return err
		}
		for o, list := range all.lists {
			if list != nil {
				c.own[o] = list
			}
		}
		return nil
	}
}

// inTurn is each for nodes that do not wait.
func inTurn(c *call, n int, work func(c *call, i int) error) error {
	for i := range n {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		e := *c
		if err := work(&e, i); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}
