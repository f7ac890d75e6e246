package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// csvTable writes results as a table: a row each, a column for every input and
// output that some result has. Texts are written as they are, other values as
// JSON, and null, as what is missing, as nothing.
type csvTable struct {
	out             *csv.Writer
	inputs, outputs []string
	row             []string
}

func newCSVTable(w io.Writer, inputs, outputs []string) *csvTable {
	return &csvTable{out: csv.NewWriter(w), inputs: inputs, outputs: outputs}
}

func (t *csvTable) begin() error {
	t.row = append(t.row, "id", "batch", "index", "generation", "status")
	for _, name := range t.inputs {
		t.row = append(t.row, "inputs."+name)
	}
	for _, name := range t.outputs {
		t.row = append(t.row, "outputs."+name)
	}
	t.row = append(t.row,
		"error.class", "error.message", "error.node", "error.status_code", "task_id", "trace_id",
		"attempts", "started_at", "finished_at", "duration_ms",
		"usage.input_tokens", "usage.output_tokens", "usage.usd", "usage.cached", "possible_duplicate")
	return t.out.Write(t.row)
}

func (t *csvTable) write(r *runner.Result) error {
	t.row = append(t.row[:0], r.ID, r.Batch, strconv.Itoa(r.Index), r.Generation, string(r.Status))
	for _, name := range t.inputs {
		t.row = append(t.row, spec.Text(r.Inputs[name]))
	}
	for _, name := range t.outputs {
		t.row = append(t.row, spec.Text(r.Outputs[name]))
	}
	if e := r.Error; e != nil {
		t.row = append(t.row, e.Class, e.Message, e.Node, "")
		if e.StatusCode != 0 {
			t.row[len(t.row)-1] = strconv.Itoa(e.StatusCode)
		}
	} else {
		t.row = append(t.row, "", "", "", "")
	}
	t.row = append(t.row, r.Handle.TaskID, r.Handle.TraceID,
		strconv.Itoa(r.Attempts), timestamp(r.StartedAt), timestamp(r.FinishedAt), strconv.FormatInt(r.Duration.Milliseconds(), 10))
	if u := r.Usage; u != nil {
		t.row = append(t.row, strconv.FormatInt(u.InputTokens, 10), strconv.FormatInt(u.OutputTokens, 10), "", strconv.FormatBool(u.Cached))
		if !u.Unpriced {
			t.row[len(t.row)-2] = strconv.FormatFloat(u.USD, 'f', -1, 64)
		}
	} else {
		t.row = append(t.row, "", "", "", "")
	}
	t.row = append(t.row, strconv.FormatBool(r.PossibleDuplicate))
	return t.out.Write(t.row)
}

func (t *csvTable) flush() error {
	t.out.Flush()
	return t.out.Error()
}

// timestamp is a time as the results have it; "" where there is none.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02T15:04:05.000Z07:00")
}
