package cli

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"
)

// callsBatch calls the server; what is to become of a call, and the key of the item,
// stand in its rows.
const callsBatch = `version: 1
secrets: [LISTED, HOSTNAME, FILED, NUMBER]
pipeline:
  name: calls
  nodes:
    url: {type: input}
    how: {type: input}
    say: {type: input}
    call:
      type: api
      inputs:
        url: "{{ url.text }}"
        method: POST
        headers: [{key: X-Token, value: "${LISTED}"}, {key: X-How, value: "{{ how.text }}"}]
        query_params: [{key: token, value: "${LISTED}"}]
        body_params:
        - {key: say, value: "{{ say.text }}"}
        - {key: key, value: "${OPENAI_API_KEY}"}
        - key: number
          value: ${NUMBER}
        fail_non_2xx_response: true
    out: {type: output, inputs: {value: "{{ call.output }} ${FILED}"}}
batches:
  calls: {from: rows.jsonl, key: "{{ row.id }}", map: {url: "{{ row.url }}", how: "{{ row.how }}", say: "{{ row.say }}"}}
run: {concurrency: 4, retry: {backoff: {initial: 1ms}}}
results: {path: "results/{{ date }}/{{ batch }}.jsonl"}
`

// calls are the rows of callsBatch: what is to become of each, and where it goes.
func (c *cage) calls() [][2]string {
	secret, server := listed.String(), c.server
	at, _ := url.Parse(server)
	return [][2]string{
		{"200", server + "/" + url.PathEscape(secret)},
		{"raw", server + "/?" + secret},
		{"path", server + "/" + secret},
		{"basic", "http://" + url.UserPassword("me", secret).String() + "@" + at.Host},
		{"400", server}, {"401", server}, {"500", server},
		{"malformed", server}, {"header", server}, {"unsolicited", server}, {"location", server}, {"elsewhere", server},
		{"panic", server + "/" + url.PathEscape(secret)},
		{"dial", "http://" + hostname.String() + ".invalid/x"},
		{"port", "http://127.0.0.1:" + hostname.String() + "/"},
		{"host", "http://" + secret + "/"},
		{"escape", server + "/%zz" + secret},
		{"no address", secret},
		{"certificate", c.tls.URL + "/" + url.PathEscape(secret)},
		{"no tls", strings.Replace(server, "http:", "https:", 1) + "/" + url.PathEscape(secret)},
	}
}

// giveCalls writes the rows, and as many more that are kept waiting. Two of them
// have keys that differ in what is hidden alone.
func (c *cage) giveCalls(held int) (rows int) {
	var b strings.Builder
	add := func(id, how, address string) {
		text, _ := json.Marshal(map[string]string{"id": id, "how": how, "url": address, "say": how + " " + unaskedKey.String() + listed.String()})
		fmt.Fprintf(&b, "%s\n", text)
		rows++
	}
	for _, call := range c.calls() {
		add(call[0]+" "+openKey.String(), call[0], call[1])
	}
	add("user "+listed.String(), "200", c.server)
	add("user "+filed.String(), "200", c.server)
	for i := range held {
		add(fmt.Sprintf("held %d %s", i, hostname), "hold", c.server)
	}
	c.give("calls.yaml", callsBatch)
	c.give("rows.jsonl", b.String())
	return rows
}

// TestCanaryCalls: nothing shows a secret that servers repeat, that errors of
// libraries quote, or that a panic holds, in whatever form it is said.
func TestCanaryCalls(t *testing.T) {
	t.Parallel()
	c := newCage(t)
	rows := c.giveCalls(0)
	for _, how := range [][]string{
		{"--log-format", "json", "--log-level", "debug"}, {"--log-format", "text", "--log-level", "debug"}, {"--log-level", "debug"}, {"--quiet"},
	} {
		_, said := c.run(exitItems, append([]string{"run", "calls.yaml", "--fresh"}, how...)...)
		for _, wanted := range []string{
			"panicked: no proxy for", "malformed HTTP", "malformed MIME header", "failed to parse Location", "no such host", "no network", "invalid port", "invalid URL escape",
			"certificate signed by unknown authority", "server gave HTTP response to HTTPS client", "answered 400", "answered 401", "answered 500", "Unsolicited response",
		} {
			if len(how) == 4 && !strings.Contains(said, wanted) {
				t.Errorf("%v: there was no %q", how, wanted)
			}
		}
	}
	out, _ := c.run(exitItems, "run", "calls.yaml", "-o", "-")
	out2, _ := c.run(exitOK, "results", "calls.yaml", "export")
	out3, _ := c.run(exitOK, "results", "calls.yaml", "failed")
	c.run(exitOK, "results", "calls.yaml", "export", "--format", "openai-batch", "-o", "batch.out")
	c.run(exitOK, "results", "calls.yaml", "stats", "--json")
	for _, text := range []string{out, out2, out3} {
		if !strings.Contains(text, "[hidden]") {
			t.Errorf("nothing was hidden in:\n%s", text)
		}
	}
	if got := strings.Count(out, "\n"); got != rows {
		t.Errorf("%d lines, want %d:\n%s", got, rows, out)
	}
}

// asksBatch asks two models, each with a key of its own. The second is to answer
// with JSON.
const asksBatch = `version: 1
secrets: [LISTED, HOSTNAME, FILED, NUMBER]
pipeline:
  name: asks
  nodes:
    in: {type: input}
    plain: {type: llm, inputs: {provider: openai, model: m, stream: true, prompt: "{{ in.text }}"}}
    typed: {type: llm, inputs: {provider: custom, base_url: "${SERVER}/v1", api_key: "${ROUTER_KEY}", model: m, json_response: true, prompt: "{{ in.text }}"}}
    out: {type: output, inputs: {value: "{{ plain.response }}"}}
    label: {type: output, inputs: {value: "{{ typed.response }}"}}
batches:
  asks:
    inputs:
    - {in: "good"}
    - {in: "${OPENAI_API_KEY} is my key, ${ROUTER_KEY} yours"}
    - {in: "[400] ${LISTED}"}
    - {in: "[401] ${LISTED}"}
    - {in: "[404] ${LISTED}"}
    - {in: "[page] ${LISTED}"}
    - {in: "[503] ${GROQ_API_KEY}"}
    - {in: "[429] ${OPENAI_API_KEY}"}
    - {in: "[hang-up] ${OPENAI_API_KEY}"}
    - {in: "[prose] ${LISTED}"}
    - {in: "[prose] ........ ${LISTED}"}
    - {in: "[prose] ............ ${LISTED}"}
  other:
    inputs: [{in: "${OTHER_KEY}"}, {in: "[401] x"}]
    node_input_overrides: {typed.api_key: "${OTHER_KEY}"}
  denied: {inputs: [{in: "[denied] ${LISTED}"}]}
run: {concurrency: 1, retry: {backoff: {initial: 1ms}}}
`

// TestCanaryModels: the same of keys of models, that need not be listed.
func TestCanaryModels(t *testing.T) {
	t.Parallel()
	c := newCage(t)
	c.model.again = "0.01"
	c.give("asks.yaml", asksBatch)
	c.run(exitBackend, "run", "asks.yaml", "--batch", "denied") // its summary says why
	_, said := c.run(exitItems, "run", "asks.yaml", "--batch", "asks", "--batch", "other", "--log-format", "json", "--log-level", "debug")
	for _, wanted := range []string{"answered 400", "answered 401", "answered 404", "is no model", "answered 503", "answered 429", "closed without an answer", "it is not JSON"} {
		if !strings.Contains(said, wanted) {
			t.Errorf("there was no %q in:\n%s", wanted, said)
		}
	}
	c.run(exitItems, "run", "asks.yaml", "--batch", "asks", "--fresh", "--log-format", "text", "--log-level", "debug")
	c.run(exitItems, "run", "asks.yaml", "--batch", "asks", "--retry-failed")
	for _, words := range []string{listed.String(), "[400] " + listed.String(), "[prose] " + openKey.String() + otherKey.String()} {
		code := exitItems
		if words == listed.String() {
			code = exitOK
		}
		out, _ := c.run(code, "stream", "asks.yaml", "--json", "-i", "in="+words)
		if !strings.Contains(out, "[hidden]") && !strings.Contains(out, "***") {
			t.Errorf("nothing was hidden in:\n%s", out)
		}
	}
	for _, args := range [][]string{{"plan", "asks.yaml"}, {"graph", "asks.yaml"}, {"validate", "asks.yaml"}, {"cache", "stats", "asks.yaml"}, {"results", "asks.yaml", "failed"}} {
		c.run(exitOK, args...)
	}
	if out, _ := c.run(exitOK, "cache", "stats", "asks.yaml", "--json"); !strings.Contains(out, `"answers":`) || strings.Contains(out, `"answers":0,`) {
		t.Errorf("no answer was kept: %s", out)
	}
	c.run(exitUsage, "validate", openKey.String()+".yaml") // there is no such file
	for command, set := range map[string]string{
		"run": "run.concurrency=${OPENAI_API_KEY}", "plan": "pipeline.nodes.in.type=${GROQ_API_KEY}", "validate": "run.backend=" + openKey.String(),
		"graph": "batches.asks=${LISTED}", "stream": "run.timeout=${FILED}", "results": "run.retry=${OPENAI_API_KEY}",
	} {
		if _, said := c.run(exitUsage, command, "asks.yaml", "--set", set); !strings.Contains(said, "[hidden]") {
			t.Errorf("nightshift %s --set %s: nothing was hidden in:\n%s", command, set, said)
		}
	}
}

// TestCanaryLife: nor does it what becomes of a batch from one process to the
// next. Items whose keys differ in a secret alone stay two.
func TestCanaryLife(t *testing.T) {
	t.Parallel()
	c := newCage(t)
	rows := c.giveCalls(6)
	debug := []string{"--log-format", "json", "--log-level", "debug"}
	run := func(code int, args ...string) string {
		t.Helper()
		_, said := c.run(code, append([]string{"run", "calls.yaml"}, args...)...)
		return said
	}
	crashed := c.start(append([]string{"run", "calls.yaml"}, debug...)...)
	c.waitHeld(crashed)
	run(exitLocked)
	crashed.kill()
	c.searchPrinted(crashed)
	c.search("after a crash")
	if out, _ := c.run(exitOK, "plan", "calls.yaml"); !strings.Contains(out, fmt.Sprintf("%d already done", len(c.ids()))) {
		t.Errorf("%d items have ended, and the plan is:\n%s", len(c.ids()), out)
	}
	c.run(exitOK, "results", "calls.yaml", "failed")

	interrupted := c.start(append([]string{"run", "calls.yaml"}, debug...)...)
	c.waitHeld(interrupted)
	interrupted.signal(syscall.SIGINT)
	interrupted.until("no more runs are started")
	interrupted.signal(syscall.SIGINT)
	interrupted.ends(exitInterrupt)
	c.searchPrinted(interrupted)
	c.search("after an interruption")

	close(c.free)
	run(exitItems, debug...)
	c.wantLines(rows)
	for _, said := range []string{run(exitItems), func() string { out, said := c.run(exitOK, "plan", "calls.yaml"); return out + said }()} {
		if !strings.Contains(said, fmt.Sprintf("%d already done, nothing to do", rows)) {
			t.Errorf("it did not say that nothing is to be done:\n%s", said)
		}
	}
	run(exitItems, append(debug, "--retry-failed")...)
	c.wantLines(rows)
	run(exitItems, "--only", "user "+listed.String(), "--retry-failed=panic")
	run(exitUsage, "--only", "nobody "+listed.String())

	// The graph is another with another url, but not with another secret.
	run(exitUsage, "--set", "pipeline.nodes.call.inputs.method=GET")
	run(exitUsage, "--set", "pipeline.nodes.call.inputs.url=${LISTED}")
	c.env = append(c.env, "NUMBER=another")
	if said := run(exitItems); !strings.Contains(said, "nothing to do") {
		t.Errorf("with another secret, the results no longer count:\n%s", said)
	}
	run(exitItems, "--set", "pipeline.nodes.call.inputs.method=GET", "--accept-changed-pipeline")
	c.wantLines(rows)
	run(exitOK, "--fresh", "--limit", "3")
	run(exitItems, "--fresh", "--summary", "sum-{{ batch }}.json")
	c.wantLines(rows)
}
