package spec

import (
	"bufio"
	"encoding/csv"
	"maps"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// checkBatch checks what a batch says of its rows, without reading more of
// them than a header.
func (d *document) checkBatch(b *Batch) {
	var given []string
	for _, key := range []string{"inputs", "from", "matrix"} {
		if valueOf(b.at, key) != nil {
			given = append(given, key)
		}
	}
	switch {
	case len(given) == 0:
		d.report(d.problem(b.key, "batch %s has no rows: give it inputs, from or matrix", b.Name))
		return
	case len(given) > 1:
		d.report(d.problem(keyOf(b.at, given[1]), "batch %s has both %s; one must go", b.Name, strings.Join(given, " and ")))
		return
	}
	for _, key := range []string{"session_id", "version"} {
		if n := valueOf(b.at, key); n != nil && n.ShortTag() == "!!str" && scalarText(valueOf(d.root, "run"), "backend") != "vectorshift" {
			d.warn(d.problem(keyOf(b.at, key), "%s means something to backend vectorshift only", key))
		}
	}
	if b.Source.Format != "" && given[0] != "from" {
		d.report(d.problem(keyOf(b.at, "format"), "format belongs to from, which batch %s does not have", b.Name))
	}
	templatesRight := d.checkMap(b)
	d.checkOverrides(b)
	if d.reading.bundled {
		return // the rows are elsewhere, and were looked at there
	}
	switch given[0] {
	case "inputs":
		if b.Source.inline != nil && templatesRight {
			d.report(b.inlineProblems()...)
		}
	case "matrix":
		if templatesRight {
			names, _ := d.mapping(valueOf(b.at, "matrix"))
			d.checkColumns(b, slices.Sorted(maps.Keys(names)), valueOf(b.at, "matrix"))
		}
	case "from":
		for _, n := range b.Source.from {
			d.checkFrom(b, n, templatesRight)
		}
	}
}

// inlineProblems are those of inputs that stand in the batch file itself.
func (b *Batch) inlineProblems() []schema.Problem {
	if len(b.Source.inline.Content) == 0 {
		return []schema.Problem{b.Empty()}
	}
	var problems []schema.Problem
	_ = b.Items(nil, func(item Item) bool {
		// Rows that are no maps are the schema's to report.
		if item.Err != nil && b.Source.inline.Content[item.Index].Kind == yaml.MappingNode {
			problems = append(problems, item.Err.Problem)
		}
		return true
	})
	return problems
}

// checkMap checks map and key against the pipeline's inputs, and tells whether
// rows can be looked at with them.
func (d *document) checkMap(b *Batch) bool {
	before := len(d.problems)
	at := valueOf(b.at, "map")
	for _, n := range []*yaml.Node{at, valueOf(b.at, "key")} {
		eachScalar(n, func(s *yaml.Node) {
			for ref := range ParseTemplate(s.Value).Refs() {
				if ref.Node != "row" {
					d.report(d.problem(s, "{{ %s.%s }}: map and key know nothing but the row, as in {{ row.column }}", ref.Node, ref.Output))
				}
			}
			if loose := looseBraces(s.Value, rowReference(), nodeReference(), bareReference()); loose != "" {
				d.report(d.problem(s, "%q is no reference to a column; write {{ row.column }}", loose))
			}
			for _, m := range bareReference().FindAllStringSubmatch(s.Value, -1) {
				name := m[1]
				if name == "row" {
					name = "column"
				}
				d.report(d.problem(s, "%s is no column; write {{ row.%s }}", m[0], name))
			}
		})
	}
	if at != nil && at.Kind != yaml.MappingNode {
		return false // the schema has said so
	}
	m := b.mapper()
	switch {
	case !m.known:
	case b.Map != nil:
		for _, name := range m.names {
			if !slices.ContainsFunc(m.inputs, func(in Input) bool { return in.Name == name }) {
				d.report(d.problem(keyOf(at, name), "the pipeline has no input %q%s", name, m.suggest(name)))
			}
		}
		for _, in := range m.inputs {
			if _, ok := b.Map[in.Name]; !ok && !in.HasDefault {
				d.report(d.problem(keyOf(b.at, "map"), "map gives no value to the input %q", in.Name))
			}
		}
	case b.Source.textRows() && m.textOnly == "":
		d.report(d.problem(keyOf(b.at, "from"), "the pipeline has %d inputs, so map must say which one takes {{ row.text }}", len(m.inputs)))
	}
	return len(d.problems) == before
}

func (d *document) checkOverrides(b *Batch) {
	at, before := valueOf(b.at, "node_input_overrides"), len(d.problems)
	backend := scalarText(valueOf(d.root, "run"), "backend")
	if b.pipeline.Nodes == nil || b.NodeInputOverrides == nil {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(b.NodeInputOverrides)) {
		name, input, _ := strings.Cut(key, ".")
		n := b.pipeline.Node(name)
		if n == nil {
			d.report(d.problem(keyOf(at, key), "%s; keys are node.input", d.noNode(b.pipeline, name)))
			continue
		}
		t := schema.LookupNodeType(n.Type)
		if n.Sub != nil || n.CodeFile != "" {
			d.checkFileOverride(b.pipeline, n, input, keyOf(at, key), valueOf(at, key), backend)
		}
		if t == nil || t.OpenInputs {
			d.checkInputRefs(b.pipeline, n, input, valueOf(at, key), backend)
			continue
		}
		if input == "" {
			d.report(d.problem(keyOf(at, key), "%q names no input of the node; keys are node.input, such as %s.%s", key, name, inputNames(t)[0]))
		} else if _, ok := t.Input(input); !ok {
			d.report(d.problem(keyOf(at, key), "node %s (%s) has no input %q%s", name, n.Type, input, schema.DidYouMean(input, inputNames(t))))
		} else {
			d.checkOverride(n, t, input, valueOf(at, key))
			d.checkInputRefs(b.pipeline, n, input, valueOf(at, key), backend)
		}
	}
	if wrong, _ := d.problems[before:].Split(); len(wrong) > 0 {
		return
	}
	changed, err := b.pipeline.Override(b.NodeInputOverrides)
	if err != nil {
		return // reported above, key by key
	}
	if _, cycle := changed.Levels(); cycle != nil {
		d.report(d.problem(at, "with these values, nodes refer to one another in a circle: %s", arrows(cycle)))
		return
	}
	types := newTyping(changed, backend)
	for key := range b.NodeInputOverrides {
		name, input, _ := strings.Cut(key, ".")
		types.check(d, changed.Node(name), input, valueOf(at, key))
	}
}

// checkOverride checks the value that an input of a node is to have instead.
func (d *document) checkOverride(n *Node, t *schema.NodeType, input string, value *yaml.Node) {
	inputs := &yaml.Node{Kind: yaml.MappingNode, Line: value.Line, Column: value.Column}
	if n.inputsAt != nil {
		for i := 0; i+1 < len(n.inputsAt.Content); i += 2 {
			if n.inputsAt.Content[i].Value != input {
				inputs.Content = append(inputs.Content, n.inputsAt.Content[i], n.inputsAt.Content[i+1])
			}
		}
	}
	inputs.Content = append(inputs.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: input, Line: value.Line, Column: value.Column}, value)
	if !n.wrongInputs {
		d.report(n.validate(t, inputs)...)
	}
}

// checkFrom looks whether a source is there and, of a table, whether it has the
// columns that are asked for.
func (d *document) checkFrom(b *Batch, n *yaml.Node, columns bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || n.Value == "" || n.Value == "-" {
		return
	}
	path := d.path(n.Value)
	if isGlob(n.Value) {
		if matches, err := d.glob(n.Value); err != nil {
			d.report(d.problem(n, "%q is not a pattern: a bracket in it is not closed", n.Value))
		} else if len(matches) == 0 {
			d.report(d.problem(n, "no file matches %q", n.Value))
		}
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		d.report(d.problem(n, "cannot read %s: %v", path, reason(err)))
		return
	case info.IsDir():
		d.report(d.problem(n, "%s is a folder; name its files with a pattern such as %s", path, strings.TrimRight(n.Value, "/")+"/*.txt"))
		return
	}
	switch b.Source.format(n.Value, "") {
	case "":
		d.report(d.problem(n, "the format of %s is not known by its ending; say format: csv, jsonl, json, yaml or txt", path))
	case "csv":
		if columns && info.Mode().IsRegular() {
			d.checkHeader(b, n, path)
		}
	}
}

func (d *document) checkHeader(b *Batch, n *yaml.Node, path string) {
	f, err := os.Open(path)
	if err != nil {
		d.report(d.problem(n, "cannot read %s: %v", path, reason(err)))
		return
	}
	defer f.Close()
	r, err := openText(f, path)
	if err != nil {
		d.report(b.SourceProblem(err))
		return
	}
	if _, err := r.Peek(1); err != nil {
		return // empty: found when the rows are counted
	}
	limited := csv.NewReader(bufio.NewReader(&rowLimit{from: r, left: maxRow}))
	record, err := limited.Read()
	header, problem := csvHeader(path, record, err)
	if problem != nil {
		d.report(*problem)
		return
	}
	d.checkColumns(b, header, n)
}

// checkColumns holds the columns that rows have against those that are used.
func (d *document) checkColumns(b *Batch, columns []string, at *yaml.Node) {
	row := make(map[string]any, len(columns))
	for _, c := range columns {
		row[c] = "1"
	}
	used := map[string]bool{}
	for _, place := range []*yaml.Node{valueOf(b.at, "map"), valueOf(b.at, "key")} {
		eachScalar(place, func(s *yaml.Node) {
			for ref := range parseRowTemplate(s.Value).Refs() {
				_, ok := row[ref.Output]
				if b.Source.axes != nil && !ok { // values of a matrix may be maps
					outer, _, _ := strings.Cut(ref.Output, ".")
					_, ok = row[outer]
				}
				if !ok && !used[ref.Output] {
					d.report(d.problem(s, "{{ row.%s }}: there is no such column%s", ref.Output, columnHint(ref.Output, columns)))
				}
				used[ref.Output] = true
			}
		})
	}
	m := b.mapper()
	if !m.known || m.values != nil {
		return
	}
	for _, in := range m.inputs {
		if _, ok := row[in.Name]; !ok && !in.HasDefault {
			d.report(d.problem(at, "there is no column for the input %q%s", in.Name, columnHint(in.Name, columns)))
		}
	}
	for _, c := range columns {
		if !m.keyed[c] && !slices.ContainsFunc(m.inputs, func(in Input) bool { return in.Name == c }) {
			d.report(d.problem(at, "the pipeline has no input %q, as a column is named%s", c, m.suggest(c)))
		}
	}
}

func columnHint(name string, columns []string) string {
	if hint := schema.DidYouMean(name, columns); hint != "" {
		return hint
	}
	return "; there are " + strings.Join(columns, ", ")
}
