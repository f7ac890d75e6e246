package spec

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestRowLimit holds that no format reads a row of more than 16 MB into memory,
// and that one of a little less is read.
func TestRowLimit(t *testing.T) {
	long := strings.Repeat("x", maxRow+200<<10) // buffers read ahead
	fits := strings.Repeat("x", maxRow-200<<10)
	for _, test := range []struct {
		name, format, before, after string
		fatal                       bool // nothing after the row can be read
	}{
		{"jsonl", "jsonl", "{\"topic\": \"", "\"}\n{\"topic\": \"next\"}\n", false},
		{"txt", "txt", "", "\nnext\n", false},
		{"csv", "csv", "topic\nfirst\n\"", "\"\nnext\n", true},
		{"csv header", "csv", "\"topic", "\"\nnext\n", true},
		{"json", "json", "[{\"topic\": \"first\"},\n{\"topic\": \"", "\"}, {\"topic\": \"next\"}]", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := batchOf(t, "", oneInput, "{from: '-', format: "+test.format+"}")
			var last string
			tooLong := 0
			err := b.Items(strings.NewReader(test.before+long+test.after), func(i Item) bool {
				if i.Err != nil {
					tooLong++
					mustContain(t, i.Err.Error(), "more than 16 MB")
				} else {
					last, _ = i.Inputs["topic"].(string)
				}
				return true
			})
			switch {
			case test.fatal && err == nil:
				t.Fatal("a row of 16 MB was read")
			case test.fatal:
				mustContain(t, err.Error(), "more than 16 MB")
			case err != nil || tooLong != 1 || last != "next":
				t.Errorf("%d rows too long, then %q (%v)", tooLong, last, err)
			}
			if strings.HasSuffix(test.name, "header") {
				return
			}
			items := 0
			err = b.Items(strings.NewReader(test.before+fits+test.after), func(i Item) bool {
				items++
				return i.Err == nil
			})
			if want := 2 + min(1, strings.Count(test.before, "first")); err != nil || items != want {
				t.Errorf("a row that fits: %d items, %v", items, err)
			}
		})
	}
}

// generated makes n rows without holding them.
type generated struct {
	head, tail string
	row        func(i int) string
	n, i       int
	rest       string
}

func (g *generated) Read(p []byte) (int, error) {
	for g.rest == "" {
		switch {
		case g.i == 0 && g.head != "":
			g.rest, g.head = g.head, ""
		case g.i < g.n:
			g.rest = g.row(g.i)
			g.i++
		case g.tail != "":
			g.rest, g.tail = g.tail, ""
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// TestStreaming reads 300,000 rows (60 MB) and looks at the heap on the way: it
// must not grow with the rows but for the ids. Two formats share the longer run,
// as the race detector makes it slow.
func TestStreaming(t *testing.T) {
	filler := strings.Repeat("y", 180)
	number := func(i int) string { return string(AppendJSON(nil, toNumber(i))) }
	for format, source := range map[string]*generated{
		"csv":   {head: "topic\n", row: func(i int) string { return number(i) + filler + "\n" }},
		"jsonl": {row: func(i int) string { return `{"topic": "` + number(i) + filler + "\"}\n" }},
		"json":  {head: "[", row: func(i int) string { return `{"topic": "` + number(i) + filler + "\"},\n" }, tail: `{"topic": "last"}]`},
		"txt":   {row: func(i int) string { return number(i) + filler + "\n" }},
	} {
		rows := 300_000
		if format == "json" || format == "txt" {
			rows = 100_000
		}
		source.n = rows
		b := batchOf(t, "", oneInput, "{from: '-', format: "+format+"}")
		runtime.GC()
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		most, count := uint64(0), 0
		err := b.Items(source, func(i Item) bool {
			if count++; count%50_000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
			}
			return i.Err == nil
		})
		if err != nil || count < rows {
			t.Fatalf("%s: %d rows, %v", format, count, err)
		}
		// 16 to 43 bytes an id, and buffers.
		if limit := uint64(rows*43 + 3<<20); most > limit {
			t.Errorf("%s: the heap grew by %d bytes, more than %d", format, most, limit)
		}
	}
}

// TestWholeFileLimit refuses what is read whole and is too large.
func TestWholeFileLimit(t *testing.T) {
	huge := bytes.Repeat([]byte("- {topic: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n"), maxDocument/40)
	b := batchOf(t, "", oneInput, "{from: '-', format: yaml}")
	err := b.Items(bytes.NewReader(huge), func(Item) bool { return true })
	if err == nil {
		t.Fatal("a .yaml source of more than 16 MB was read")
	}
	mustContain(t, err.Error(), "more than 16 MB")
	_, problems := Parse("batch.yaml", huge, Options{})
	mustContain(t, problems.Error(), "more than 16 MB")
}

// TestAliasesAddBoundedText: few aliases of a long text are a bomb too.
func TestAliasesAddBoundedText(t *testing.T) {
	source := "a: &a " + strings.Repeat("x", 500_000) + "\nb: [" + strings.Repeat("*a, ", 100) + "]\n"
	_, problems := Parse("batch.yaml", []byte(source), Options{})
	if !strings.Contains(problems.Error(), "or 16 MB of text") {
		t.Errorf("%.300s", problems.Error())
	}
}

// TestManyProblemsOfOneLine are not all shown with that line: it may be long.
func TestManyProblemsOfOneLine(t *testing.T) {
	source := "version: 1\nresults: {"
	for i := range 2 * maxSnippets {
		source += fmt.Sprintf("key%d: 1, ", i)
	}
	_, problems := Parse("batch.yaml", []byte(source+"}\n"), Options{})
	shown := 0
	for _, p := range problems {
		if p.Snippet != "" {
			shown++
		}
	}
	if len(problems) < 2*maxSnippets || shown == 0 || shown > maxSnippets {
		t.Errorf("%d problems, %d with their line", len(problems), shown)
	}
}

// nodesText is a batch file with as many nodes as are asked for, n0 and on, after an input.
func nodesText(n int, variables string, node func(i int) string) string {
	var b strings.Builder
	b.WriteString("version: 1\npipeline:\n  name: many\n" + variables + "  nodes:\n    i: {type: input}\n")
	for i := range n {
		fmt.Fprintf(&b, "    n%d: {%s}\n", i, node(i))
	}
	return b.String() + "batches: {b: {inputs: [{i: a}]}}\n"
}

// TestManyWrongReferences: only as many names are compared as somebody may read hints.
func TestManyWrongReferences(t *testing.T) {
	_, problems := Parse("batch.yaml", []byte(nodesText(5*maxSnippets, "", func(i int) string {
		return fmt.Sprintf(`type: text, inputs: {text: "{{ %s }}"}`, []string{fmt.Sprintf("m%d.text", i), "i.txet"}[i%2])
	})), Options{})
	errs, _ := problems.Split()
	if hints := strings.Count(errs.Error(), "did you mean"); len(errs) != 5*maxSnippets || hints != maxSnippets {
		t.Errorf("%d problems, %d with a hint", len(errs), hints)
	}
}

// TestManyUnordered: of nodes in no order, a few are told.
func TestManyUnordered(t *testing.T) {
	start := time.Now()
	_, problems := Parse("batch.yaml", []byte(nodesText(2000, "  variables: {tone: dry}\n", func(i int) string {
		if i < 1000 {
			return fmt.Sprintf(`type: set_variable, inputs: {variable_id: tone, value: a%s}`, map[bool]string{true: fmt.Sprintf(`, dependencies: ["{{ n%d.complete }}"]`, i-1)}[i > 0])
		}
		return `type: text, inputs: {text: "{{ tone }}"}`
	})), Options{})
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	told := 0
	for _, p := range problems {
		if strings.Contains(p.Message, "reads {{ tone }} which nodes n0, n1, n2 and 997 more set, and") {
			told++
		}
	}
	if told != maxUnordered {
		t.Errorf("%d warnings", told)
	}
}

// TestManyLoops: each is looked for in its own part of the pipeline.
func TestManyLoops(t *testing.T) {
	f, problems := Parse("batch.yaml", []byte(nodesText(2000, "", func(i int) string {
		before := "i"
		if i > 0 {
			before = fmt.Sprintf("n%d", i-1)
		}
		return fmt.Sprintf(`type: text, inputs: {text: "{{ %s.text }}"}, cyclic_inputs: {text: "{{ n%d.text }}"}`, before, i)
	})), Options{})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatal(errs)
	}
	start := time.Now()
	loops, broken := f.Pipeline.Loops()
	if took := time.Since(start); len(loops) != 2000 || broken != nil || took > 3*time.Second {
		t.Errorf("%d loops, %v, in %v", len(loops), broken, took)
	}
}
