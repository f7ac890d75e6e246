package report

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"nightshift/runner"
)

// The forms in which results can be exported.
const (
	CSV         = "csv"
	OpenAIBatch = "openai-batch" // as the output files of OpenAI's Batch API
)

// Formats lists the forms.
func Formats() []string { return []string{CSV, OpenAIBatch} }

// ExportOptions say in which form results are written.
type ExportOptions struct {
	Format     string
	InputOrder bool // as the items stand in the batch; else as they ended
}

// exporter writes results in one form.
type exporter interface {
	begin() error // called before the first result
	write(r *runner.Result) error
	flush() error
}

// Export writes the results of one batch in another form. What goes wrong with
// w is returned as it is.
func Export(w io.Writer, r *Results, o ExportOptions) error {
	s, err := r.survey(o)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriterSize(w, 1<<16)
	var out exporter = newOpenAIBatch(buffer)
	if o.Format == CSV {
		out = newCSVTable(buffer, s.inputs, s.outputs)
	}
	if err := out.begin(); err != nil {
		return err
	}
	write := func(line []byte) error {
		result, err := runner.ParseResult(line)
		if err != nil {
			r.leftOut(line, err)
			return nil
		}
		return out.write(result)
	}
	if o.InputOrder {
		err = r.inOrder(s.places, write)
	} else {
		err = r.scan(func(l *runner.ScannedLine, _ place) error { return write(l.Raw) })
	}
	if err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	return buffer.Flush()
}

// survey is what must be known before the first result is written.
type survey struct {
	inputs, outputs []string     // names
	places          []orderPlace // where an order is asked for
}

func (r *Results) survey(o ExportOptions) (*survey, error) {
	inputs, outputs := map[string]bool{}, map[string]bool{}
	s := &survey{}
	err := r.scan(func(l *runner.ScannedLine, at place) error {
		if o.InputOrder {
			s.places = append(s.places, newOrderPlace(l.Line.Index, at))
		}
		if o.Format == CSV {
			return memberNames(l.Raw, inputs, outputs)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(r.Only) == 0 && len(r.batches) > 1 {
		return nil, fmt.Errorf("%s has results of several batches; choose one with --batch: %s", r.Path, strings.Join(r.batches, ", "))
	}
	s.inputs, s.outputs = slices.Sorted(maps.Keys(inputs)), slices.Sorted(maps.Keys(outputs))
	return s, nil
}

// leftOut says that a line of which all but its inputs and outputs could be read
// is not exported.
func (r *Results) leftOut(text []byte, err error) {
	var line runner.Line
	_ = runner.ParseLine(bytes.TrimSuffix(text, []byte("\n")), &line)
	if r.Warn != nil {
		r.Warn(fmt.Sprintf("%s: the result of item %s is left out: %v", r.Path, line.ID, err))
	}
}
