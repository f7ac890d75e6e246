//go:build bench

package cli

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nightshift/spec"
)

const rehearsedBatch = `version: 1
pipeline:
  name: rehearsed
  nodes:
    in: {type: input}
    one: {type: llm, inputs: {provider: openai, model: m, prompt: "{{ in.text }}"}}
    even: {type: condition, inputs: {conditions: [{clauses: [{operator: Contains, input: "{{ in.text }}", value: even}]}]}}
    two: {type: llm, inputs: {provider: openai, model: m, prompt: "again {{ in.text }}", dependencies: ["{{ even.path_0 }}", "{{ one.complete }}"]}}
    either: {type: merge, inputs: {fields: ["{{ two.response }}", "{{ one.response }}"]}}
    out: {type: output, inputs: {value: "{{ either.output }}"}}
batches:
  items: {from: items.txt}
run: {concurrency: 32}
rehearse: {latency: %s}
`

// rehearsals holds what a rehearsal foretells against a real run, whose models take
// as long as it is told.
func (b *bench) rehearsals() {
	const n = 1000
	for _, c := range []struct {
		what, latency string
		how           spec.Rehearse
	}{
		{"100 ms", "100ms", spec.Rehearse{Latency: 100 * time.Millisecond}},
		{"100 ms, p95 250 ms", "{median: 100ms, p95: 250ms}", spec.Rehearse{Latency: 100 * time.Millisecond, P95: 250 * time.Millisecond}},
	} {
		dir, err := os.MkdirTemp(b.dir, "rehearsed")
		if err != nil {
			b.Fatal(err)
		}
		var lines strings.Builder
		for i := range n {
			fmt.Fprintf(&lines, "item %d %s\n", i, []string{"even", "odd"}[i%2])
		}
		file := filepath.Join(dir, "batch.yaml")
		for path, text := range map[string]string{file: fmt.Sprintf(rehearsedBatch, c.latency), filepath.Join(dir, "items.txt"): lines.String()} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		model := &modelServer{refuse: never, asked: map[string]int{}}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(c.how.Quantile(rand.Float64()))
			model.ServeHTTP(w, r)
		}))
		foretold := b.run("OPENAI_BASE_URL="+server.URL+"/v1", b.command, "run", file, "--rehearse", "--quiet")
		if model.requests > 0 {
			b.Errorf("a rehearsal asked %d times", model.requests)
		}
		earnest := b.process([]string{"OPENAI_API_KEY=a-key-that-opens-nothing", "OPENAI_BASE_URL=" + server.URL + "/v1"}, b.command, "run", file, "--quiet")
		server.Close()
		if earnest.code != 0 || model.requests != n+n/2 {
			b.Errorf("exit code %d, %d requests: %s", earnest.code, model.requests, earnest.said)
		}
		ratio := foretold.wall.Seconds() / earnest.wall.Seconds()
		b.row("a rehearsal beside the real run, 32 in flight, "+c.what, fmt.Sprintf("%.3f x of %v", ratio, earnest.wall.Round(10*time.Millisecond)), "0.90 to 1.10 x", 0.9 <= ratio && ratio <= 1.1)
	}
}
