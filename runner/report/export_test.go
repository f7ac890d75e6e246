package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nightshift/runner"
)

// export gives what is exported of a results file.
func export(t testing.TB, path string, o ExportOptions) string {
	t.Helper()
	r, warned := open(t, path)
	var out strings.Builder
	if err := Export(&out, r, o); err != nil {
		t.Fatal(err)
	}
	want(t, "warned", *warned, []string{})
	return out.String()
}

// varied are results of every kind.
func varied() []runner.Result {
	number := json.Number("12345678901234567890.0")
	a := succeeded(2, "a")
	a.Inputs = map[string]any{"in": "two\nlines, and \"quotes\"", "n": number}
	a.Outputs = map[string]any{"out": nil, "list": []any{"x", number, map[string]any{"k": true}}}
	a.Usage = &runner.Usage{InputTokens: 10, OutputTokens: 3, USD: 0.00125}
	b := failed(0, "b", "rate_limited", "slow down")
	b.Error.Node, b.Error.StatusCode, b.Attempts, b.PossibleDuplicate = "llm", 429, 4, true
	b.Usage = &runner.Usage{Unpriced: true, InputTokens: 1}
	c := runner.Result{ID: "c", Batch: "facts", Index: 1, Generation: "tonight", Status: runner.Failed,
		Error: &runner.ErrorInfo{Class: "invalid_input", Message: "no row"}, FinishedAt: began}
	return []runner.Result{a, b, c}
}

func TestExportCSV(t *testing.T) {
	path := write(t, varied()...)
	head := "id,batch,index,generation,status,inputs.in,inputs.n,outputs.list,outputs.out,error.class,error.message,error.node,error.status_code," +
		"task_id,trace_id,attempts,started_at,finished_at,duration_ms,usage.input_tokens,usage.output_tokens,usage.usd,usage.cached,possible_duplicate\n"
	a := `a,facts,2,tonight,succeeded,"two` + "\n" + `lines, and ""quotes""",12345678901234567890.0,"[""x"",12345678901234567890.0,{""k"":true}]",,,,,,` +
		"task-a,trace-a,1,2026-11-23T01:00:00.000Z,2026-11-23T01:00:03.000Z,3000,10,3,0.00125,false,false\n"
	b := "b,facts,0,tonight,failed,say b,,,,rate_limited,slow down,llm,429,task-b,trace-b,4,2026-11-23T01:00:00.000Z,2026-11-23T01:00:01.000Z,1000,1,0,,false,true\n"
	c := "c,facts,1,tonight,failed,,,,,invalid_input,no row,,,,,0,,2026-11-23T01:00:00.000Z,0,,,,,false\n"
	want(t, "as they ended", export(t, path, ExportOptions{Format: CSV}), head+a+b+c)
	want(t, "as they stand in the batch", export(t, path, ExportOptions{CSV, true}), head+b+c+a)
	want(t, "nothing", export(t, write(t), ExportOptions{Format: CSV}),
		strings.NewReplacer(",inputs.in,inputs.n,outputs.list,outputs.out", "").Replace(head))
}

func TestExportOpenAIBatch(t *testing.T) {
	path := write(t, append(varied(), succeeded(3, "d <3"))...)
	lines := strings.Split(export(t, path, ExportOptions{Format: OpenAIBatch}), "\n")
	want(t, "lines", len(lines), 5)
	want(t, "twice", export(t, path, ExportOptions{Format: OpenAIBatch}), strings.Join(lines, "\n"))
	ordered := strings.Split(export(t, path, ExportOptions{OpenAIBatch, true}), "\n")
	want(t, "as they stand in the batch", ordered, []string{lines[1], lines[2], lines[0], lines[3], ""})
	ids := map[string]bool{}
	for i, line := range lines {
		id := regexp.MustCompile(`batch_req_\w*`).FindString(line)
		ids[id] = true
		lines[i] = strings.Replace(line, id, "batch_req_", 1)
	}
	want(t, "ids", len(ids), 5)
	want(t, "several outputs", lines[0], `{"id":"batch_req_","custom_id":"a","response":{"status_code":200,"request_id":"trace-a","body":`+
		`{"id":"chatcmpl-task-a","object":"chat.completion","created":1795395603,"model":"p","choices":[{"index":0,"message":{"role":"assistant",`+
		`"content":"{\"list\":[\"x\",12345678901234567890.0,{\"k\":true}],\"out\":null}","refusal":null},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}},"error":null}`)
	want(t, "failed", lines[1], `{"id":"batch_req_","custom_id":"b","response":null,"error":{"code":"rate_limited","message":"slow down"}}`)
	want(t, "one output", lines[3], `{"id":"batch_req_","custom_id":"d <3","response":{"status_code":200,"request_id":"trace-d <3","body":`+
		`{"id":"chatcmpl-task-d <3","object":"chat.completion","created":1795395604,"model":"p","choices":[{"index":0,"message":{"role":"assistant",`+
		`"content":"said d <3","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":null}},"error":null}`)
}

func TestExportWantsOneBatch(t *testing.T) {
	other := succeeded(0, "z")
	other.Batch = "figures"
	path := write(t, succeeded(0, "a"), other)
	r, _ := open(t, path)
	var out strings.Builder
	wantError(t, "two", Export(&out, r, ExportOptions{Format: OpenAIBatch}),
		path+" has results of several batches; choose one with --batch: facts, figures")
	want(t, "written", out.String(), "")
	r.Only = []string{"figures"}
	want(t, "one", Export(&out, r, ExportOptions{Format: OpenAIBatch}), nil)
	want(t, "lines", strings.Count(out.String(), "\n"), 1)
}

// TestWhatCannotBeExportedIsSaid is about what only shows when inputs are looked at.
func TestWhatCannotBeExportedIsSaid(t *testing.T) {
	text := string(lines(succeeded(0, "a"), succeeded(1, "b")))
	path := writeText(t, strings.Replace(text, `{"in":"say a"}`, `{"in":"say a","in":"again"}`, 1))
	for _, o := range []ExportOptions{{CSV, false}, {CSV, true}} {
		r, warned := open(t, path)
		var out strings.Builder
		want(t, "error", Export(&out, r, o), nil)
		want(t, "rows", strings.Count(out.String(), "\n"), 2)
		if len(*warned) != 1 || !strings.HasPrefix((*warned)[0], path+`: the result of item a is left out: "inputs": `) {
			t.Errorf("warned of %q", *warned)
		}
	}
}

// TestExportHasEachItemOnce is told of any results, in any order, of which some
// were run again.
func TestExportHasEachItemOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "facts.jsonl")
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "items")
		var first, again []runner.Result
		for i := range n {
			result := succeeded(i, fmt.Sprint("id", i))
			result.Inputs["in"] = rapid.StringN(-1, -1, 3*firstRead).Draw(t, "input")
			first = append(first, result)
			for range rapid.IntRange(0, 2).Draw(t, "times again") {
				result.Attempts++
				again = append(again, result)
			}
		}
		wanted := map[string]string{}
		for _, r := range append(first, again...) {
			text, _ := r.Inputs["in"].(string)
			wanted[r.ID] = fmt.Sprintln(r.Index, r.Attempts, text)
		}
		first = rapid.Permutation(first).Draw(t, "order")
		for path, results := range map[string][]runner.Result{path: first, path + ".retry": again} {
			if err := os.WriteFile(path, lines(results...), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		inOrder := rapid.Bool().Draw(t, "input order")
		r, err := Open(path, func(message string) { t.Fatal(message) })
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var out bytes.Buffer
		if err := Export(&out, r, ExportOptions{CSV, inOrder}); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(rows) != n+1 {
			t.Fatalf("%d rows, not %d: %v", len(rows)-1, n, err)
		}
		for i, row := range rows[1:] {
			field := map[string]string{}
			for i, name := range rows[0] {
				field[name] = row[i]
			}
			text := fmt.Sprintln(field["index"], field["attempts"], field["inputs.in"])
			if readable(text) != readable(wanted[field["id"]]) {
				t.Errorf("item %s is %q, not %q", field["id"], text, wanted[field["id"]])
			}
			if inOrder && field["index"] != fmt.Sprint(i) {
				t.Errorf("item %s is in place %d", field["index"], i)
			}
			delete(wanted, field["id"])
		}
	})
}

// readable is a text as csv.Reader gives it: with newlines alone.
func readable(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func TestExportTo(t *testing.T) {
	path := write(t, succeeded(0, "a"))
	dir := filepath.Dir(path)
	files := func() string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	out := filepath.Join(dir, "out.csv")
	for range 2 {
		r, _ := open(t, path)
		want(t, "error", ExportTo(out, r, ExportOptions{Format: CSV}), nil)
		text, err := os.ReadFile(out)
		want(t, "read", err, nil)
		want(t, "text", string(text), export(t, path, ExportOptions{Format: CSV}))
		want(t, "files", files(), "facts.jsonl out.csv")
	}

	r, _ := open(t, path)
	wantError(t, "onto itself", ExportTo(path, r, ExportOptions{Format: CSV}),
		path+" holds the results themselves; choose another path with --output")
	err := ExportTo(filepath.Join(dir, "none", "out.csv"), r, ExportOptions{Format: CSV})
	wantError(t, "no folder", err, "cannot write results to "+filepath.Join(dir, "none", "out.csv")+": no such file or directory")
	_, unwritten := errors.AsType[*runner.ResultsError](err)
	want(t, "a results error", unwritten, true)

	link := filepath.Join(dir, "link.csv")
	if err := os.Symlink("out.csv", link); err != nil {
		t.Skip(err)
	}
	os.WriteFile(out, nil, 0o666)
	want(t, "link", ExportTo(link, r, ExportOptions{Format: CSV}), nil)
	target, err := os.Readlink(link)
	want(t, "is a link", fmt.Sprint(target, err), "out.csv<nil>")
	info, err := os.Stat(out)
	want(t, "is written", err == nil && info.Size() > 0, true)

	two := succeeded(1, "b")
	two.Batch = "figures"
	r, _ = open(t, write(t, succeeded(0, "a"), two))
	wantError(t, "fails", ExportTo(out, r, ExportOptions{Format: CSV}), r.Path+" has results of several batches; choose one with --batch: facts, figures")
	want(t, "files", files(), "facts.jsonl link.csv out.csv")
	info, err = os.Stat(out)
	want(t, "the old one stands", err == nil && info.Size() > 0, true)
}

// full takes so many bytes.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return f.left, &os.PathError{Op: "write", Path: "x", Err: errors.New("no space left on device")}
	}
	f.left -= len(p)
	return len(p), nil
}

func TestExportToWhatIsFull(t *testing.T) {
	path := write(t, many(1000)...)
	for _, format := range Formats() {
		for _, left := range []int{0, 100_000} {
			r, _ := open(t, path)
			err := Export(NewWriter("standard output", &full{left}), r, ExportOptions{Format: format})
			wantError(t, format, err, "cannot write results to standard output: no space left on device")
			_, unwritten := errors.AsType[*runner.ResultsError](err)
			want(t, "a results error", unwritten, true)
		}
	}
}
