//go:build bench

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"nightshift/spec"
)

const (
	modelItems   = 2000
	modelAtOnce  = 64
	modelLatency = 50 * time.Millisecond
)

// models measures batches against a server that answers like a model's provider.
func (b *bench) models() {
	b.clean("cache on", "true")
	b.clean("cache off", "false")
	b.refusedOnce()
	b.refusedAtSecondNode()
	b.denied()
	b.closedPort()
}

const modelBatch = `version: 1
pipeline:
  name: asks
  nodes:
    in: {type: input}
    llm: {type: llm, inputs: {provider: openai, model: m, prompt: "{{ in.text }}"}}
    out: {type: output, inputs: {value: "{{ llm.response }}"}}
batches:
  asks: {from: asks.csv, map: {in: "{{ row.text }}"}, key: "{{ row.id }}"}
run: {concurrency: %d, cache: %s}
`

// ask runs a batch of n items against a server, in a folder of its own.
func (b *bench) ask(s *modelServer, batch string, n int) (taken, []map[string]any) {
	b.Helper()
	dir, err := os.MkdirTemp(b.dir, "asks")
	if err != nil {
		b.Fatal(err)
	}
	var rows strings.Builder
	rows.WriteString("id,text\n")
	for i := range n {
		fmt.Fprintf(&rows, "%d,item %d of the batch\n", i, i)
	}
	for name, text := range map[string]string{"asks.csv": rows.String(), "batch.yaml": batch} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	p := b.process([]string{"OPENAI_API_KEY=a-key-that-opens-nothing", "OPENAI_BASE_URL=" + s.URL + "/v1"}, b.command, "run", filepath.Join(dir, "batch.yaml"), "--quiet")
	var results []map[string]any
	raw, _ := os.ReadFile(filepath.Join(dir, "results", "asks.jsonl"))
	for line := range bytes.Lines(raw) {
		v, err := spec.ParseJSON(line)
		if err != nil {
			b.Fatal(err)
		}
		results = append(results, v.(map[string]any))
	}
	return p, results
}

func (b *bench) succeeded(what string, p taken, results []map[string]any, n int) {
	b.Helper()
	good := 0
	for _, r := range results {
		if r["status"] == "succeeded" {
			good++
		}
	}
	if p.code != 0 || good != n || len(results) != n {
		b.Errorf("%s: exit code %d, %d lines, %d of %d succeeded\n%s", what, p.code, len(results), good, n, p.said)
	}
}

// clean holds a batch without refusals against a loop that one would write by hand.
func (b *bench) clean(what, cache string) {
	var ratios []float64
	peak, anon := 0, 0
	for range 5 {
		s := serveModel(b, modelLatency, never)
		minimal := b.run(asModelBaseline+"="+s.URL, os.Args[0], "-test.run", "^TestBars$")
		s = serveModel(b, modelLatency, never)
		p, results := b.ask(s, fmt.Sprintf(modelBatch, modelAtOnce, cache), modelItems)
		b.succeeded(what, p, results, modelItems)
		ratios = append(ratios, p.wall.Seconds()/minimal.wall.Seconds())
		peak, anon = max(peak, s.peak), max(anon, p.anon)
	}
	slices.Sort(ratios)
	b.row("2,000 items, 64 in flight, 50 ms, "+what+": beside a loop", fmt.Sprintf("%.3f x", ratios[len(ratios)/2]), "<= 1.08 x", ratios[len(ratios)/2] <= 1.08)
	b.row("  its peak in flight", fmt.Sprint(peak), "64", peak == modelAtOnce)
	b.row("  its peak RssAnon", fmt.Sprintf("%.1f MB", float64(anon)/(1<<20)), "<= 24.0 MB", anon <= 24<<20)
}

// refusedOnce refuses every 20th item the first time.
func (b *bench) refusedOnce() {
	batch := fmt.Sprintf(modelBatch, modelAtOnce, "true")
	chosen := func(prompt string) bool {
		var i int
		_, _ = fmt.Sscanf(prompt, "item %d", &i)
		return i%20 == 19
	}
	var ratios []float64
	slowest := time.Duration(0)
	for range 3 {
		clean, results := b.ask(serveModel(b, modelLatency, never), batch, modelItems)
		b.succeeded("clean", clean, results, modelItems)
		s := serveModel(b, modelLatency, func(prompt string, times int) int {
			if times == 1 && chosen(prompt) {
				return http.StatusTooManyRequests
			}
			return 0
		})
		p, results := b.ask(s, batch, modelItems)
		b.succeeded("refused once", p, results, modelItems)
		ratios = append(ratios, p.wall.Seconds()/clean.wall.Seconds())
		for _, r := range results {
			took, _ := r["duration_ms"].(json.Number).Int64()
			if prompt := r["inputs"].(map[string]any)["in"].(string); !chosen(prompt) {
				slowest = max(slowest, time.Duration(took)*time.Millisecond)
			}
		}
		if s.requests != modelItems+modelItems/20 {
			b.Errorf("%d requests, not %d", s.requests, modelItems+modelItems/20)
		}
	}
	slices.Sort(ratios)
	b.row("100 of the items refused once, Retry-After: 1: beside clean", fmt.Sprintf("%.2f x", ratios[1]), "<= 1.75 x", ratios[1] <= 1.75)
	b.row("  the slowest of the others", slowest.String(), "<= 500ms", slowest <= 500*time.Millisecond) // half of what the refused ones wait
}

// refusedAtSecondNode refuses the second question of every item once.
func (b *bench) refusedAtSecondNode() {
	const n = 300
	batch := strings.Replace(fmt.Sprintf(modelBatch, modelAtOnce, "false"), "    out:", `    again: {type: llm, inputs: {provider: openai, model: m, prompt: "again {{ in.text }} {{ llm.response }}"}}
    out:`, 1)
	batch = strings.Replace(batch, "{{ llm.response }}\"}}\nbatches", "{{ again.response }}\"}}\nbatches", 1)
	s := serveModel(b, modelLatency, func(prompt string, times int) int {
		if times == 1 && strings.HasPrefix(prompt, "again") {
			return http.StatusTooManyRequests
		}
		return 0
	})
	p, results := b.ask(s, batch, n)
	b.succeeded("refused at the second node", p, results, n)
	most, least := 0, n
	for prompt, times := range s.asked {
		if strings.HasPrefix(prompt, "item") {
			most, least = max(most, times), min(least, times)
		}
	}
	b.row("two llm nodes, the second refused once: calls of the first", fmt.Sprintf("%d to %d an item", least, most), "1 an item", most == 1 && least == 1)
}

// denied runs batches with a key that is not accepted.
func (b *bench) denied() {
	for _, atOnce := range []int{1, 8, modelAtOnce} {
		s := serveModel(b, modelLatency, func(string, int) int { return http.StatusUnauthorized })
		p, results := b.ask(s, fmt.Sprintf(modelBatch, atOnce, "true"), 1000)
		b.row(fmt.Sprintf("1,000 items, always 401, %d in flight: exit code", atOnce), fmt.Sprintf("%d in %v", p.code, p.wall.Round(time.Millisecond)), "4 within 3s", p.code == exitBackend && p.wall <= 3*time.Second)
		b.row("  its requests", fmt.Sprint(s.requests), fmt.Sprintf("<= %d", atOnce+4), s.requests <= atOnce+4 && len(results) == 0)
	}
}

// closedPort runs a batch at an address where nobody listens.
func (b *bench) closedPort() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	p, _ := b.ask(&modelServer{Server: &httptest.Server{URL: "http://" + address}}, fmt.Sprintf(modelBatch, 8, "true"), 3)
	b.row("3 items, closed port: exit code", fmt.Sprintf("%d in %v", p.code, p.wall.Round(time.Millisecond)), "4 within 3s", p.code == exitBackend && p.wall <= 3*time.Second)
}

const asModelBaseline = "NIGHTSHIFT_BENCH_MODEL_BASELINE"

// modelBaseline is the loop that one would write by hand over net/http: ask
// under a limit, decode, write a line, and fsync what was written together.
func modelBaseline(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "baseline.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = modelAtOnce
	client := &http.Client{Transport: transport}
	lines := make(chan []byte, modelAtOnce)
	written := make(chan error)
	go func() {
		var err error
		for line := range lines {
			for more := true; more; {
				select {
				case next, ok := <-lines:
					if more = ok; ok {
						line = append(line, next...)
					}
				default:
					more = false
				}
			}
			if _, e := out.Write(line); e != nil {
				err = e
			}
			if e := out.Sync(); e != nil {
				err = e
			}
		}
		written <- err
	}()
	var group errgroup.Group
	group.SetLimit(modelAtOnce)
	for i := range modelItems {
		group.Go(func() error {
			text := fmt.Sprintf("item %d of the batch", i)
			question, err := json.Marshal(map[string]any{"model": "m", "messages": []any{map[string]string{"role": "user", "content": text}}})
			if err != nil {
				return err
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, os.Getenv(asModelBaseline)+"/v1/chat/completions", bytes.NewReader(question))
			if err != nil {
				return err
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			var answer struct {
				Choices []struct{ Message struct{ Content string } }
			}
			if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
				return err
			}
			line, err := json.Marshal(map[string]any{"id": i, "inputs": text, "outputs": answer.Choices[0].Message.Content})
			lines <- append(line, '\n')
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	close(lines)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}
