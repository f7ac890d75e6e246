package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// nobody is a transport that must not be used.
type nobody struct{ t testing.TB }

func (n nobody) RoundTrip(req *http.Request) (*http.Response, error) {
	n.t.Errorf("%s is called", req.URL)
	return nil, errors.New("nobody is to be called")
}

// rehearsing makes a client that calls nobody, in an environment without keys.
func rehearsing(t testing.TB, how spec.Rehearse, perMinute int) *Client {
	return New(Options{
		Env: func(string) (string, bool) { return "", false }, HTTP: &http.Client{Transport: nobody{t}},
		Rehearsal: NewRehearsal(how), RequestsPerMinute: perMinute,
	})
}

func TestRehearsalAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := rehearsing(t, spec.Rehearse{Latency: 2 * time.Second}, 0)
		r := Request{Provider: "openai", Model: "gpt-5.1", System: "Be brief.", Prompt: "Why is the sky blue?"}
		began := time.Now()
		a, err := c.Ask(t.Context(), r, Call{})
		if err != nil || time.Since(began) != 2*time.Second {
			t.Fatalf("%v, after %v", err, time.Since(began))
		}
		if !strings.HasPrefix(a.Text, "Why is the sky blue?") || a.InputTokens != 8 || a.OutputTokens != 100 || a.Cut != "" {
			t.Errorf("%+v", a)
		}
		again, _ := c.Ask(t.Context(), r, Call{})
		if again.Text != a.Text {
			t.Errorf("the same question is answered by %q, and then by %q", a.Text, again.Text)
		}
		r.MaxTokens = 3
		if a, _ := c.Ask(t.Context(), r, Call{}); a.Text != "Why is the s" || a.OutputTokens != 3 {
			t.Errorf("with max_tokens: %+v", a)
		}
		if a, _ := c.Ask(t.Context(), Request{Provider: "openai", Model: "m", Prompt: "Answer in JSON: why?"}, Call{}); !strings.HasPrefix(a.Text, `{"answer":"Answer in JSON`) {
			t.Errorf("a prompt that speaks of JSON: %+v", a)
		}
		if _, err := c.Ask(t.Context(), Request{Provider: "custom", Model: "m", Prompt: "x"}, Call{}); err == nil || !strings.Contains(err.Error(), "needs base_url") {
			t.Errorf("a request that cannot be made: %v", err)
		}
	})
}

func TestRehearsalEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := rehearsing(t, spec.Rehearse{Latency: time.Hour}, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := c.Ask(ctx, Request{Provider: "openai", Model: "m", Prompt: "x"}, Call{})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v, after %v", err, time.Since(began))
		}
	})
}

func TestRehearsedFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := rehearsing(t, spec.Rehearse{Latency: time.Second, Failures: 0.25}, 0)
		failed := 0
		for range 2000 {
			_, err := c.Ask(t.Context(), Request{Provider: "openai", Model: "m", Prompt: "x"}, Call{})
			if api, ok := errors.AsType[*runner.APIError](err); ok && api.StatusCode == 503 && api.Transient() {
				failed++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if failed < 400 || failed > 600 { // five standard deviations
			t.Errorf("%d of 2000 calls failed, not about 500", failed)
		}
	})
}

func TestRehearsedLatency(t *testing.T) {
	r := NewRehearsal(spec.Rehearse{Latency: 2 * time.Second, P95: 6 * time.Second})
	var all []time.Duration
	for range 10_000 {
		all = append(all, r.latency())
	}
	slices.Sort(all)
	if m, p := all[5000].Seconds(), all[9500].Seconds(); m < 1.9 || m > 2.1 || p < 5.6 || p > 6.4 {
		t.Errorf("median %.2f s, p95 %.2f s", m, p)
	}
}

// TestRehearsedRate: calls wait for their turns as real ones do.
func TestRehearsedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := rehearsing(t, spec.Rehearse{}, 60)
		began := time.Now()
		for range 6 {
			if _, err := c.Ask(t.Context(), Request{Provider: "openai", Model: "m", Prompt: "x"}, Call{}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("6 calls at one a second took %v", took)
		}
	})
}

func TestRehearsedStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := rehearsing(t, spec.Rehearse{Latency: 2 * time.Second}, 0)
		r := Request{Provider: "openai", Model: "m", Prompt: "Why is the sky blue?", Stream: true}
		var said strings.Builder
		began, first, n := time.Now(), time.Duration(0), 0
		a, err := c.Ask(t.Context(), r, Call{Text: func(piece string) {
			if n++; n == 1 {
				first = time.Since(began)
			}
			said.WriteString(piece)
		}})
		if took := time.Since(began); err != nil || took != 2*time.Second || first < time.Second || first >= took || n < 10 || said.String() != a.Text {
			t.Errorf("%v: first after %v, all after %v, %d pieces: %q of %q", err, first, took, n, said.String(), a.Text)
		}
	})
}

// TestRehearsedChoices: what is asked decides, and all that can be chosen is.
func TestRehearsedChoices(t *testing.T) {
	c := rehearsing(t, spec.Rehearse{}, 0)
	seen := map[string]int{}
	for i := range 300 {
		r := Request{Provider: "openai", Model: "m", Prompt: fmt.Sprint("item ", i), JSON: true, Schema: json.RawMessage(`{"type":"object","properties":{"p":{"type":"string","enum":["a","b","c"]},"y":{"type":"boolean"}},"required":["p","y"],"additionalProperties":false}`)}
		a, err := c.Ask(t.Context(), r, Call{})
		if err != nil {
			t.Fatal(err)
		}
		seen[a.Text]++
	}
	if len(seen) != 6 {
		t.Errorf("%v", seen)
	}
	for text, n := range seen {
		if n < 15 {
			t.Errorf("%s is said %d times of 300", text, n)
		}
	}
}

// TestMadeChoicesAreSpread: also those of short texts, and of two places in one answer.
func TestMadeChoicesAreSpread(t *testing.T) {
	const all = 6000
	for _, form := range []string{"%d", "<message>\nitem %d\n</message>"} {
		for _, n := range []int{2, 3, 5} {
			seen := make([]int, n*n)
			for i := range all {
				m := &maker{seed: seedOf(Request{Prompt: fmt.Sprintf(form, i)})}
				seen[m.pick("/path", n)*n+m.pick("/other", n)]++
			}
			off, even := 0.0, float64(all)/float64(n*n)
			for _, n := range seen {
				off += (float64(n) - even) * (float64(n) - even) / even
			}
			if most := float64(n*n) + 4*math.Sqrt(2*float64(n*n)); off > most { // chi squared
				t.Errorf("%q, pairs of %d: %.1f, more than %.1f: %v", form, n, off, most, seen)
			}
		}
	}
}

// TestNoneIsSeldomChosen: what comes after a choice is to be rehearsed.
func TestNoneIsSeldomChosen(t *testing.T) {
	seen := map[string]int{}
	for i := range 900 {
		seen[madeJSON(Request{Prompt: fmt.Sprint("item ", i), Schema: json.RawMessage(`{"type":"object","properties":{"p":{"enum":["path_0","path_1","none"]}},"required":["p"]}`)}, asWords)]++
	}
	if none, first, second := seen[`{"p":"none"}`], seen[`{"p":"path_0"}`], seen[`{"p":"path_1"}`]; none < 50 || none > 150 || first < 330 || second < 330 || none+first+second != 900 {
		t.Errorf("%v", seen)
	}
}

// TestRehearsalHidesSecrets: no part of one is in what is made, wherever that is cut.
func TestRehearsalHidesSecrets(t *testing.T) {
	const secret = "Zq7#Kx9!Wv3?Jb5 Yf1%Gd8"
	holdsPart := func(text string) string {
		for i := range len(secret) - 3 {
			if part := secret[i : i+4]; strings.Contains(text, part) {
				return part
			}
		}
		return ""
	}
	c := New(Options{
		Env: func(string) (string, bool) { return "", false }, HTTP: &http.Client{Transport: nobody{t}},
		Rehearsal: NewRehearsal(spec.Rehearse{}), Redactor: spec.NewRedactor([]string{secret}),
	})
	words := rapid.StringMatching(`[a-z \n]{0,30}`)
	rapid.Check(t, func(t *rapid.T) {
		r := Request{Provider: "openai", Model: "m", Prompt: words.Draw(t, "before") + secret + words.Draw(t, "after"), MaxTokens: rapid.IntRange(0, 40).Draw(t, "max")}
		if rapid.Bool().Draw(t, "system") {
			r.Prompt, r.System = words.Draw(t, "prompt"), r.Prompt
		}
		if rapid.Bool().Draw(t, "json") {
			r.JSON = true
			r.Schema = json.RawMessage(fmt.Sprintf(`{"type":"object","properties":{"a":{"type":"string","maxLength":%d},"b":{"type":"array","items":{"type":"string","maxLength":%d},"minItems":3}},"required":["a","b"]}`, rapid.IntRange(1, 80).Draw(t, "a"), rapid.IntRange(1, 80).Draw(t, "b")))
		}
		var said strings.Builder
		call := Call{}
		if r.Stream = rapid.Bool().Draw(t, "stream"); r.Stream {
			call.Text = func(piece string) { said.WriteString(piece) }
		}
		a, err := c.Ask(context.Background(), r, call)
		if err != nil {
			t.Fatal(err)
		}
		if part := holdsPart(a.Text + "\n" + said.String()); part != "" {
			t.Fatalf("%q is left in %q", part, a.Text)
		}
		if a.InputTokens != tokens(r.System, r.Prompt, string(r.Schema)) {
			t.Fatalf("%d tokens, of what is hidden too", a.InputTokens)
		}
	})
}

// TestRehearsedCheck: an answer is made that passes, where there is one; where not,
// the rehearsal goes on.
func TestRehearsedCheck(t *testing.T) {
	c := rehearsing(t, spec.Rehearse{}, 0)
	r := Request{Provider: "openai", Model: "m", Prompt: "x", JSON: true, Schema: json.RawMessage(`{"type":"object","properties":{"at":{"anyOf":[{"type":"string"},{"type":"null"}]}},"required":["at"]}`)}
	for name, passes := range map[string]func(any) bool{
		"times": func(v any) bool { text, _ := v.(string); _, err := time.Parse(time.RFC3339, text); return err == nil },
		"nulls": func(v any) bool { return v == nil },
	} {
		check := func(text string) error {
			v, err := spec.ParseJSON([]byte(text))
			if err == nil && !passes(v.(map[string]any)["at"]) {
				err = errors.New("no")
			}
			return err
		}
		if a, err := c.Ask(t.Context(), r, Call{Check: check}); err != nil || check(a.Text) != nil {
			t.Errorf("%s: %v, %s", name, err, a.Text)
		}
	}
	if a, err := c.Ask(t.Context(), r, Call{Check: func(string) error { return errors.New("never") }}); err != nil || !strings.Contains(a.Text, `"x x`) {
		t.Errorf("nothing passes: %v, %s", err, a.Text)
	}
}

func TestMadeJSON(t *testing.T) {
	for name, text := range map[string]string{
		"members":      `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"},"c":{"type":"number"},"d":{"type":"boolean"},"e":{"type":"null"}},"required":["a","b","c","d","e"],"additionalProperties":false}`,
		"sizes":        `{"type":"object","properties":{"a":{"type":"string","minLength":80,"maxLength":81},"b":{"type":"string","maxLength":2},"c":{"type":"array","items":{"type":"integer"},"minItems":4,"maxItems":4},"d":{"type":"array","maxItems":0}},"required":["a","b","c","d"]}`,
		"bounds":       `{"type":"object","properties":{"a":{"type":"integer","minimum":3,"maximum":3},"b":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1},"c":{"type":"integer","maximum":-5},"d":{"type":"integer","minimum":11,"multipleOf":10},"e":{"type":"integer","exclusiveMinimum":4,"maximum":5}},"required":["a","b","c","d","e"]}`,
		"choices":      `{"type":"object","properties":{"a":{"enum":[1,"x",null]},"b":{"const":{"k":[1]}},"c":{"anyOf":[{"type":"integer"},{"type":"null"}]},"d":{"oneOf":[{"type":"array","items":{"type":"boolean"},"minItems":1},{"type":"string"}]},"e":{"type":["null","integer"]}},"required":["a","b","c","d","e"]}`,
		"references":   `{"type":"object","properties":{"a":{"$ref":"#/$defs/x~1y"},"b":{"$ref":"#/$defs/z"}},"required":["a","b"],"$defs":{"x/y":{"type":"integer"},"z":{"allOf":[{"type":"object","properties":{"p":{"type":"string"}},"required":["p"]},{"required":["q"],"properties":{"q":{"type":"boolean"}}}]}}}`,
		"a tree":       `{"type":"object","properties":{"name":{"type":"string"},"children":{"type":"array","items":{"$ref":"#"}}},"required":["name","children"]}`,
		"a list":       `{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"]}}}`,
		"more":         `{"type":"object","additionalProperties":{"type":"integer"},"minProperties":2}`,
		"undeclared":   `{"type":"object","required":["a"],"additionalProperties":{"type":"boolean"}}`,
		"formats":      `{"type":"object","properties":{"a":{"type":"string","format":"date"},"b":{"type":"string","format":"email"},"c":{"type":"string","format":"uuid"},"d":{"type":"string","format":"date-time"},"e":{"type":"string","format":"uri"}},"required":["a","b","c","d","e"]}`,
		"patterns":     `{"type":"object","properties":{"a":{"type":"string","pattern":"^[A-Z]{2}-[0-9]+(x|y)$"},"b":{"type":"string","pattern":"^\\d{3,5}$"}},"required":["a","b"]}`,
		"unique":       `{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer","minimum":0,"maximum":100},"minItems":5,"uniqueItems":true}},"required":["a"]}`,
		"tuples":       `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"a":{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false,"minItems":2}},"required":["a"]}`,
		"any object":   `{}`,
		"hints":        `{"properties":{"a":{"minimum":3},"b":{"items":{"type":"boolean"}}},"required":["a","b"]}`,
		"empty object": `{"type":"object"}`,
	} {
		wanted, err := schema.Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for s := range styles {
			for _, prompt := range []string{"Why is the sky blue?", "", "日本語", strings.Repeat("long ", 10_000)} {
				made := madeJSON(Request{Prompt: prompt, Schema: json.RawMessage(text)}, s)
				v, err := spec.ParseJSON([]byte(made))
				if err == nil {
					err = wanted.Check(v)
				}
				if err != nil {
					t.Errorf("%s, style %d: %v: %s", name, s, err, made)
				}
			}
		}
	}
}

// TestMadeJSONEnds: also of schemas that nothing fits.
func TestMadeJSONEnds(t *testing.T) {
	for _, text := range []string{
		`{"$ref":"#"}`, `{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"}},"required":["a","b"]}`, `{"anyOf":[{"$ref":"#"}]}`,
		`{"allOf":[{"$ref":"#"}]}`, `{"type":"object","properties":{"a":{"type":"array","items":{"$ref":"#"},"minItems":100}},"required":["a"]}`,
		`{"type":"object","properties":{"a":{"type":"array","minItems":2147483647},"b":{"type":"string","minLength":2147483647},"c":{"type":"string","pattern":"(((a{1000}){1000}){1000})"}},"required":["a","b","c"]}`,
		`{"$ref":"#/nowhere/0"}`, `{"type":"object","minProperties":1000000000}`, `{"type":"strange"}`, `false`, `[]`, `{"enum":[]}`, `{"type":"integer","minimum":5,"maximum":1}`,
		`{"type":"number","multipleOf":1e-300}`, `{"type":"array","minItems":10,"uniqueItems":true,"items":{"const":1}}`,
	} {
		if made := madeJSON(Request{Prompt: "x", Schema: json.RawMessage(text)}, asWords); !json.Valid([]byte(made)) {
			t.Errorf("%s: %.200s", text, made)
		}
	}
}

// TestMadeJSONFits draws schemas.
func TestMadeJSONFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := spec.AppendJSON(nil, drawSchema(t, 3))
		wanted, err := schema.Compile(string(text))
		if err != nil {
			t.Fatal(err)
		}
		s := style(rapid.Uint64Range(0, uint64(styles)-1).Draw(t, "style"))
		made := madeJSON(Request{Prompt: rapid.String().Draw(t, "prompt"), Schema: text}, s)
		v, err := spec.ParseJSON([]byte(made))
		if err == nil {
			err = wanted.Check(v)
		}
		if err != nil {
			t.Fatalf("%s: %v: %s", text, err, made)
		}
	})
}

func drawSchema(t *rapid.T, depth int) map[string]any {
	n := func(name string, low, high int) json.Number {
		return json.Number(fmt.Sprint(rapid.IntRange(low, high).Draw(t, name)))
	}
	kinds := []string{"string", "integer", "number", "boolean", "null", "enum"}
	if depth > 0 {
		kinds = append(kinds, "object", "array", "anyOf")
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "string":
		least := n("least", 0, 30)
		low, _ := least.Int64()
		return map[string]any{"type": kind, "minLength": least, "maxLength": n("most", int(low), 200)}
	case "integer", "number":
		least := n("least", -50, 50)
		low, _ := least.Int64()
		return map[string]any{"type": kind, "minimum": least, "maximum": n("most", int(low), 100)}
	case "enum":
		return map[string]any{"enum": []any{"a", json.Number("1"), nil, true}}
	case "object":
		properties, required := map[string]any{}, []any{}
		for i := range rapid.IntRange(0, 4).Draw(t, "members") {
			name := fmt.Sprint("m", i)
			properties[name] = drawSchema(t, depth-1)
			if rapid.Bool().Draw(t, "required") {
				required = append(required, name)
			}
		}
		return map[string]any{"type": kind, "properties": properties, "required": required, "additionalProperties": rapid.Bool().Draw(t, "more")}
	case "array":
		least := n("least", 0, 4)
		low, _ := least.Int64()
		return map[string]any{"type": kind, "items": drawSchema(t, depth-1), "minItems": least, "maxItems": n("most", int(low), 6)}
	case "anyOf":
		return map[string]any{"anyOf": []any{drawSchema(t, depth-1), drawSchema(t, depth-1)}}
	default:
		return map[string]any{"type": kind}
	}
}
