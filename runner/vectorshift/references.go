package vectorshift

import (
	"nightshift/spec"
)

// naming turns references by name, as authors write them, into references by id, as
// they are on the wire, and back. What is not in it stays as it is.
type naming struct{ ids, names map[string]string }

var word = spec.Pattern(`^\w+$`)

// namingOf names nodes as they were fetched. A name that does not tell one node, or
// that a reference cannot hold, has no part in it: there the id stays, and is no name
// of another node either.
func namingOf(nodes []*Node) naming {
	count, named := map[string]int{}, map[string]*Node{}
	for _, n := range nodes {
		count[n.Name]++
		named[n.Name] = n
	}
	var stay []string // ids
	for _, n := range nodes {
		if count[n.Name] > 1 || !word().MatchString(n.Name) {
			delete(named, n.Name)
			stay = append(stay, n.ID)
		}
	}
	for len(stay) > 0 {
		id := stay[0]
		stay = stay[1:]
		if n := named[id]; n != nil {
			delete(named, id)
			stay = append(stay, n.ID)
		}
	}
	all := naming{map[string]string{}, map[string]string{}}
	for name, n := range named {
		all.ids[name], all.names[n.ID] = n.ID, name
	}
	return all
}

// idsByName gives the ids that references by name mean, whatever other ids there are.
// Of nodes of one name it is the one that was added; where none was, the name means
// nothing.
func idsByName(nodes []*Node) map[string]string {
	means := map[string]*Node{}
	for _, n := range nodes {
		other, there := means[n.Name]
		switch {
		case !there || n.own != nil:
			means[n.Name] = n
		case other != nil && other.own == nil:
			means[n.Name] = nil
		}
	}
	ids := map[string]string{}
	for name, n := range means {
		if n != nil {
			ids[name] = n.ID
		}
	}
	return ids
}

// renamed is a copy in which references have other names, and all the same form.
func renamed(v any, to map[string]string) any {
	switch v := v.(type) {
	case string:
		return spec.ParseTemplate(v).Text(func(ref *spec.Ref) any {
			name := ref.Node
			if other, ok := to[name]; ok {
				name = other
			}
			return "{{ " + name + "." + ref.Output + " }}"
		})
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = renamed(item, to)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, item := range v {
			m[name] = renamed(item, to)
		}
		return m
	}
	return v
}
