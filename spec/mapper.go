package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// mapper makes the inputs and the key of an item from a row.
type mapper struct {
	inputs   []Input // of the pipeline
	known    bool    // whether inputs are: a saved pipeline's are not
	names    []string
	values   []*Template // beside names; nil: columns are input names
	key      *Template
	keyed    map[string]bool // columns that the key uses
	textOnly string          // without map, the input that takes a row's text, or its file
	fileOnly bool            // textOnly takes files
	texts    bool            // rows are lines or files of text
}

func (b *Batch) mapper() *mapper {
	m := &mapper{inputs: b.pipeline.InputNodes(), known: b.pipeline.Nodes != nil, keyed: map[string]bool{}, texts: b.Source.textRows()}
	if b.Map != nil {
		m.names = slices.Sorted(maps.Keys(b.Map))
		for _, name := range m.names {
			m.values = append(m.values, parseRowTemplate(b.Map[name]))
		}
	} else if m.texts && len(m.inputs) == 1 {
		m.textOnly = m.inputs[0].Name
		m.fileOnly = IsFileType(m.inputs[0].Type) && !strings.HasPrefix(m.inputs[0].Type, "vec<")
	}
	if b.Key != "" {
		m.key = parseRowTemplate(b.Key)
		for ref := range m.key.Refs() {
			outer, _, _ := strings.Cut(ref.Output, ".")
			m.keyed[ref.Output], m.keyed[outer] = true, true
		}
	}
	return m
}

// textRows tells whether rows are lines or files of text, which have no columns
// that could be input names.
func (s *Source) textRows() bool {
	return len(s.from) > 0 && !slices.ContainsFunc(s.from, func(n *yaml.Node) bool {
		format := s.format(n.Value, "jsonl")
		if s.Format == "" && n.Value != "-" && isGlob(n.Value) {
			format = "file"
		}
		return format != "txt" && format != "file"
	})
}

// pathsOnly tells whether nobody asks for the text of rows that are whole files.
func (m *mapper) pathsOnly() bool {
	if m.values == nil && !m.fileOnly {
		return false
	}
	for _, t := range append(slices.Clone(m.values), m.key) {
		if t == nil {
			continue
		}
		for ref := range t.Refs() {
			if ref.Output == "text" {
				return false
			}
		}
	}
	return true
}

func (m *mapper) item(row map[string]any) (inputs map[string]any, key string, err error) {
	var missing string
	get := func(ref *Ref) any {
		v, ok := LookUp(row, ref.Output)
		if !ok && missing == "" {
			missing = ref.Output
		}
		return v
	}
	switch {
	case m.values != nil:
		inputs = make(map[string]any, len(m.inputs))
		for i, name := range m.names {
			inputs[name] = m.values[i].Value(get)
		}
	case m.textOnly != "":
		inputs = map[string]any{m.textOnly: row["text"]}
		if path, ok := row["path"]; ok && m.fileOnly {
			inputs[m.textOnly] = map[string]any{"file": path}
		}
	default:
		inputs = row
	}
	if missing == "" {
		inputs, err = m.typed(inputs)
	}
	if m.key != nil {
		key = strings.TrimSpace(m.key.Text(get))
	}
	if err != nil { // its id is the key all the same, so that it stays when the row is mended
		return nil, key, err
	}
	if missing != "" {
		columns := slices.Sorted(maps.Keys(row))
		if m.texts { // that of a file is there for the asking
			columns = append(columns, "text")
		}
		return nil, "", fmt.Errorf("the row has no %q%s", missing, schema.DidYouMean(missing, columns))
	}
	if m.key != nil && key == "" {
		return nil, "", fmt.Errorf("the row's key is empty")
	}
	return inputs, key, nil
}

// typed gives every input of the pipeline a value of its type.
func (m *mapper) typed(given map[string]any) (map[string]any, error) {
	if !m.known {
		return given, nil
	}
	inputs := make(map[string]any, len(m.inputs))
	used := 0
	for _, in := range m.inputs {
		v, ok := given[in.Name]
		if ok {
			used++
		}
		// An empty cell of a table means nothing where text is not asked for.
		if v == nil || v == "" && in.Type != "string" {
			if !in.HasDefault {
				if ok {
					return nil, fmt.Errorf("input %q is empty", in.Name)
				}
				return nil, m.missing(in, given)
			}
			v = in.Default
		}
		v, err := Convert(v, in.Type)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", in.Name, err)
		}
		inputs[in.Name] = v
	}
	if used < len(given) {
		for _, name := range slices.Sorted(maps.Keys(given)) {
			if _, ok := inputs[name]; !ok && (m.values != nil || !m.keyed[name]) {
				return nil, fmt.Errorf("the pipeline has no input %q%s", name, m.suggest(name))
			}
		}
	}
	return inputs, nil
}

// missing says that a row lacks an input, or that it gives it under a name that
// is nearly right.
func (m *mapper) missing(in Input, given map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		known := slices.ContainsFunc(m.inputs, func(other Input) bool { return other.Name == name })
		if hint := schema.DidYouMean(name, []string{in.Name}); hint != "" && !known {
			return fmt.Errorf("the pipeline has no input %q%s", name, hint)
		}
	}
	return fmt.Errorf("input %q is missing", in.Name)
}

func (m *mapper) suggest(name string) string {
	var names []string
	for _, in := range m.inputs {
		names = append(names, in.Name)
	}
	if hint := schema.DidYouMean(name, names); hint != "" {
		return hint
	}
	if m.values == nil {
		return "; choose the columns that are wanted with map"
	}
	return ""
}
