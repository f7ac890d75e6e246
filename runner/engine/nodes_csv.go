package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"nightshift/schema"
	"nightshift/spec"
)

// column is one that a csv_reader gives: a name of the header, or what the output
// is called that holds it.
type column struct {
	name, output string
	typ          string // of the cells
	slot         int
}

// compileCSVReader gives columns of a CSV file as lists, each under an output that
// is called as the column is, with _ for what cannot stand in a reference. It gives
// those of columns and manual_columns, and those that processed_outputs names with
// a type. Cells are text unless processed_outputs says otherwise; then an empty
// cell is null.
func compileCSVReader(s *setup) step {
	in := s.fileIn("selected_file")
	if s.spec.Inputs["file_type"] == "EXCEL" {
		s.refuse("file_type", "file_type EXCEL is not read here: save the sheet as CSV before the batch, or use backend vectorshift")
	}
	s.refuseSheets()
	kind, columns := s.in("file_type"), s.columns()
	return func(c *call) error {
		if format, err := kind.choice(c); err != nil {
			return err
		} else if format != "CSV" {
			return fmt.Errorf("input \"file_type\": %s is not read here", format)
		}
		f, err := in.file(c)
		if err != nil {
			return err
		}
		t, err := readTable(f)
		if err == nil {
			var lists [][]any
			lists, err = t.columns(columns)
			for i, list := range lists {
				c.set(columns[i].slot, list)
			}
		}
		if err != nil {
			return fmt.Errorf("input \"selected_file\": the file %s: %w", f.name, err)
		}
		return nil
	}
}

// refuseSheets refuses a spreadsheet that is named where a CSV file is due.
func (s *setup) refuseSheets() {
	name, _, _ := spec.NamedFile(s.spec.Inputs["selected_file"])
	if text, ok := s.spec.Inputs["selected_file"].(string); ok {
		name = text
	}
	if ending := strings.ToLower(endingOf(strings.TrimSpace(name))); slices.Contains([]string{".xlsx", ".xls", ".ods"}, ending) {
		s.refuse("selected_file", "input \"selected_file\": %s is %s", name, insteads()[ending])
	}
}

// columns are those that the node gives.
func (s *setup) columns() []column {
	types, _ := s.spec.Inputs["processed_outputs"].(map[string]any)
	var all []column
	add := func(input, name string) {
		output := schema.OutputName(name)
		i := slices.IndexFunc(all, func(c column) bool { return c.output == output })
		switch {
		case i < 0:
			all = append(all, column{name: name, output: output, typ: "string", slot: s.out(output)})
		case all[i].name != name && input != "processed_outputs":
			s.refuse(input, "columns %q and %q would both be the output %s; read them with two nodes", all[i].name, name, output)
		}
	}
	for _, input := range []string{"columns", "manual_columns"} {
		template := s.bind(s.spec.Inputs[input])
		if _, literal := template.Literal(); !literal {
			s.refuse(input, "input %q: the columns must be written out, as the outputs are called after them", input)
			continue
		}
		list, _ := s.spec.Inputs[input].([]any)
		for _, item := range list {
			name, _ := item.(string)
			if fields, ok := item.(map[string]any); ok {
				name, _ = fields["name"].(string)
			}
			add(input, name)
		}
	}
	for _, name := range sortedNames(types) {
		add("processed_outputs", name)
		typ, err := cellType(types[name])
		if err != nil {
			s.refuse("processed_outputs", "processed_outputs: %s: %v", name, err)
		}
		all[slices.IndexFunc(all, func(c column) bool { return c.output == schema.OutputName(name) })].typ = typ
	}
	return all
}

// cellType is the type of the cells of a column that is a list of them: T of
// vec<T>, or T itself.
func cellType(v any) (string, error) {
	typ := strings.TrimSuffix(strings.TrimPrefix(spec.Text(v), "vec<"), ">")
	switch typ {
	case "":
		return "string", nil
	case "string", "int32", "float", "bool", "timestamp", "json", "any":
		return typ, nil
	}
	return "", fmt.Errorf("a column has no type %s; there are vec<string>, vec<int32>, vec<float>, vec<bool>, vec<timestamp> and vec<json>", spec.Text(v))
}

// compileCSVWriter makes a CSV file of columns: UTF-8, a header, lines that end in
// \n. With selected_option old the rows are put below those of a file or text, whose
// columns must be the same, in any order; one that is empty is written as a new one.
// A new file is called as the node is.
func compileCSVWriter(s *setup) step {
	option, load, written := s.in("selected_option"), s.in("load_option"), s.in("columns")
	old, text, out := s.fileIn("selected_file"), s.in("csv_string"), s.out("file")
	name := s.spec.Name + ".csv"
	return func(c *call) error {
		rows, err := writtenRows(c, written)
		if err != nil {
			return err
		}
		called := name
		base := csvTable{comma: ','}
		how, err := option.choice(c)
		if err != nil {
			return err
		}
		if how == "old" {
			f, err := existing(c, load, old, text, name)
			if err != nil {
				return err
			}
			if base, err = readTable(f); err != nil && !errors.Is(err, errNoHeader) {
				return fmt.Errorf("the file %s: %w", f.name, err)
			}
			called = f.name
		}
		if base.header == nil {
			base.header = rows.header
		}
		if err := base.append(rows); err != nil {
			return err
		}
		c.set(out, spec.FileValue(called, base.bytes()))
		return nil
	}
}

// existing gives the CSV file that rows are added to.
func existing(c *call, load input, old fileInput, text input, name string) (file, error) {
	where, err := load.choice(c)
	if err != nil {
		return file{}, err
	}
	if where == "text" {
		return file{name: name, data: []byte(text.text(c))}, nil
	}
	return old.file(c)
}

// writtenRows makes a table of the columns of a csv_writer.
func writtenRows(c *call, columns input) (csvTable, error) {
	list, err := columns.list(c)
	if err != nil {
		return csvTable{}, err
	}
	if len(list) == 0 {
		return csvTable{}, errors.New("input \"columns\": there are none, so there is nothing to write")
	}
	var t csvTable
	for i, item := range list {
		fields, _ := item.(map[string]any)
		name := strings.TrimSpace(spec.Text(fields["name"]))
		cells, err := toList(fields["value"])
		switch {
		case name == "":
			return csvTable{}, fmt.Errorf("input \"columns\": element %d has no name", i)
		case err != nil:
			return csvTable{}, fmt.Errorf("input \"columns\": column %s: %w", quote(name), err)
		case slices.Contains(t.header, name):
			return csvTable{}, fmt.Errorf("input \"columns\": there are two columns %s", quote(name))
		case i == 0:
			t.rows = make([][]string, len(cells))
		case len(cells) != len(t.rows):
			return csvTable{}, fmt.Errorf("input \"columns\": column %s has %d values, but column %s has %d", quote(t.header[0]), len(t.rows), quote(name), len(cells))
		}
		t.header = append(t.header, name)
		for row, cell := range cells {
			t.rows[row] = append(t.rows[row], spec.Text(cell))
		}
	}
	return t, nil
}
