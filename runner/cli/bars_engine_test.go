//go:build bench

package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// wideGraph runs a graph of 200 nodes, 20 in each of 10 levels: as fast as it goes,
// and a thousand runs of it at once, which all wait for half a second behind the
// ninth level.
func (b *bench) wideGraph() {
	const runs = 20_000
	b.write("wide.txt", itemLines(runs))
	p := b.run("", b.command, "run", b.write("wide.yaml", wide()), "-o", filepath.Join(b.dir, "wide.jsonl"), "--quiet")
	rate := runs / p.wall.Seconds()
	b.row("graph of 200 nodes, width 20", fmt.Sprintf("%.0f runs/s", rate), ">= 4000 runs/s", rate >= 4000)
	b.row("  its peak RssAnon", fmt.Sprintf("%.1f MB", float64(p.anon)/(1<<20)), "-", true)

	const atOnce = 1000
	waiting := strings.Replace(wide(), "    out: ", "    wait: {type: wait_node, inputs: {wait_time: 500, wait_time_type: milliseconds, dependencies: [\"{{ n177.complete }}\"]}}\n    out: ", 1)
	waiting = strings.Replace(waiting, "{type: output, inputs: {value: \"", "{type: output, inputs: {dependencies: [\"{{ wait.complete }}\"], value: \"", 1)
	b.write("wide.txt", itemLines(4*atOnce))
	p = b.run("", b.command, "run", b.write("waiting.yaml", waiting), "-o", filepath.Join(b.dir, "waiting.jsonl"), "--quiet", "--concurrency", fmt.Sprint(atOnce))
	b.row("  1,000 runs of it at once: peak RssAnon", fmt.Sprintf("%.1f MB", float64(p.anon)/(1<<20)), "<= 200.0 MB", p.anon <= 200<<20)
	b.row("  4,000 of them, 0.5 s each", fmt.Sprintf("%.2f s", p.wall.Seconds()), "-", true)
	if least := 4 * 500 * time.Millisecond; p.wall < least {
		b.Errorf("they took %v, but a thousand at once take %v", p.wall, least)
	}
}

// itemLines is a text of so many lines.
func itemLines(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "item %d\n", i)
	}
	return text.String()
}

// elements runs a node in batch mode over a list of 10,000, beside one over a list
// of one: whole processes.
func (b *bench) elements() {
	const n = 10_000
	file := func(name string, elements int) string {
		list := make([]string, elements)
		for i := range list {
			list[i] = fmt.Sprintf("item %d", i)
		}
		b.write(name+".jsonl", fmt.Sprintf("{\"in\": [\"%s\"]}\n", strings.Join(list, "\", \"")))
		return b.write(name+".yaml", `version: 1
pipeline:
  name: elements
  nodes:
    in: {type: input, inputs: {input_type: vec<string>}}
    each: {type: text, execution_mode: batch, inputs: {text: "Hello {{ in.value }}!"}}
    all: {type: join_list_item, inputs: {list: "{{ each.text }}"}}
    out: {type: output, inputs: {value: "{{ all.joined_text }}"}}
batches:
  lists: {from: `+name+`.jsonl}
`)
	}
	took := func(name string, elements int) time.Duration {
		return b.median(15, b.command, "run", file(name, elements), "-o", "/dev/null", "--quiet").wall
	}
	whole, one := took("many", n), took("single", 1)
	b.row("batch mode, 10,000 elements, whole process", fmt.Sprintf("%.1f ms", ms(whole)), "<= 50 ms", whole <= 50*time.Millisecond)
	b.row("  beside one element", fmt.Sprintf("%.1f ms", ms(one)), "-", true)
}
