package spec

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"

	"nightshift/schema"
)

// yamlRows reads a YAML file that holds one list of maps. It is read whole, up
// to the limit of a batch file. Variables are not filled into it.
func yamlRows(from *bufio.Reader, name string, yield rowFunc) error {
	source, err := io.ReadAll(io.LimitReader(from, maxDocument+1))
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", name, reason(err))
	}
	d := parseDocument(name, source, &Redactor{})
	if len(d.problems) > 0 {
		return &sourceError{d.problems[0]}
	}
	if d.root.Kind != yaml.SequenceNode {
		return &sourceError{d.problem(d.root, "the file must hold one list of maps")}
	}
	nodeRows(d, d.root, yield)
	return nil
}

// nodeRows makes a row of every map in a YAML list.
func nodeRows(d *document, list *yaml.Node, yield rowFunc) {
	for _, n := range list.Content {
		r := row{place: d.problem(n, "")}
		keepDigits(n)
		v, err := schema.Value(n)
		values, ok := v.(map[string]any)
		switch {
		case err != nil:
			r.err = err
		case !ok:
			r.err = fmt.Errorf("the row is %s, but must be a map of names to values", kindOf(v))
		default:
			r.values = values
		}
		if r.err != nil {
			r.raw = append([]byte(n.Value), AppendJSON(nil, v)...)
		}
		if !yield(r) {
			return
		}
	}
}

// keepDigits lets numbers that are not written in plain decimal (01234, 0x10,
// 1_000) be text in rows: there they are ticket ids and zip codes.
func keepDigits(row *yaml.Node) {
	eachScalar(row, func(s *yaml.Node) {
		if s.ShortTag() == "!!int" && !json.Valid([]byte(s.Value)) {
			s.Tag = "!!str"
		}
	})
}
