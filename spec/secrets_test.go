package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// plain draws plain values that hold the given texts in all kinds of places.
func plain(texts []string) *rapid.Generator[any] {
	text := rapid.Custom(func(t *rapid.T) string {
		return rapid.StringN(0, 6, -1).Draw(t, "before") + rapid.SampledFrom(texts).Draw(t, "text") + rapid.StringN(0, 6, -1).Draw(t, "after")
	})
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		leaves := []*rapid.Generator[any]{
			text.AsAny(), rapid.Just[any](nil), rapid.Bool().AsAny(),
			rapid.Map(rapid.Int(), func(i int) any { return json.Number(strconv.Itoa(i)) }),
		}
		if depth == 0 {
			return rapid.OneOf(leaves...)
		}
		return rapid.OneOf(append(leaves,
			rapid.SliceOfN(value(depth-1), 0, 3).AsAny(),
			rapid.Map(rapid.MapOfN(text, value(depth-1), 0, 3), func(m map[string]any) any { return m }))...)
	}
	return value(3)
}

// TestNoSecretSurvives: whatever the nesting, and in every form that a value is
// written in, a secret is gone from what Value, Text and Writer give.
func TestNoSecretSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.Custom(func(t *rapid.T) string {
			return rapid.StringOfN(rapid.SampledFrom([]rune("ab1\"\\<&\n\té☃")), minSecret, 60, -1).Draw(t, "secret")
		})
		secrets := rapid.SliceOfN(secret, 1, 3).Draw(t, "secrets")
		for i, s := range secrets {
			secrets[i] = "S" + s // [hidden] has no S
		}
		r := NewRedactor(secrets)
		v := plain(secrets).Draw(t, "value")
		var out bytes.Buffer
		marshalled, _ := json.Marshal(v)
		short := shorten(Text(v))
		fmt.Fprintf(r.Writer(&out), "%s %q %s %s\n", AppendJSON(nil, v), Text(v), marshalled, short)
		for where, text := range map[string]string{
			"Value": string(AppendJSON(nil, r.Value(v))), "Text": r.Text(Text(v)), "Writer": out.String(), "cut": r.Text(strconv.Quote(short)),
		} {
			for _, s := range secrets {
				for _, form := range []string{s, strconv.Quote(s), string(AppendJSON(nil, s))} {
					if strings.Contains(text, strings.Trim(form, `"`)) && len(strings.Trim(form, `"`)) >= minSecret {
						t.Fatalf("%s of %q shows %q: %s", where, v, s, text)
					}
				}
				if strings.Contains(text, s[:min(len(s), 30)]) && where == "cut" && len(s) > 30 {
					t.Fatalf("the cut text shows most of %q: %s", s, text)
				}
			}
		}
	})
}

func TestRedactor(t *testing.T) {
	r := NewRedactor([]string{"abc", "swordfish", "sword", "swordfish&chips", ""})
	for text, want := range map[string]string{
		"a swordfish, a sword":           "a [hidden], a [hidden]",
		"swordfish&chips":                "[hidden]",
		"swordfish\\u0026chips":          "[hidden]", // longest first, as JSON too
		"abc is too short to hide":       "abc is too short to hide",
		"Sword":                          "Sword",
		`"my swordfi…" is not a number`:  `"my [hidden]…" is not a number`,
		"the swo… is less than a secret": "the swo… is less than a secret",
	} {
		if got := r.Message(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	// Text leaves data alone that only looks cut; other forms of a secret are hidden.
	if got := r.Text("my swordfi…"); got != "my [hidden]fi…" {
		t.Errorf("data became %q", got)
	}
	other := NewRedactor([]string{" p@ss word/1\n"})
	for _, form := range []string{"p@ss word/1", "p%40ss+word%2F1", "p@ss%20word%2F1"} {
		if got := other.Text("<" + form + ">"); got != "<[hidden]>" {
			t.Errorf("%s became %s", form, got)
		}
	}
	if got := NewRedactor([]string{"12345"}).Value(map[string]any{"n": json.Number("9123456"), "12345": []any{"12345"}}); Text(got) != `{"[hidden]":["[hidden]"],"n":"9[hidden]6"}` {
		t.Errorf("numbers and keys: %s", Text(got))
	}
	for _, none := range []*Redactor{nil, {}, NewRedactor(nil), NewRedactor([]string{"abc"})} {
		if none.Active() || none.Text("abc swordfish") != "abc swordfish" {
			t.Error("a redactor without secrets hides something")
		}
	}
}

// TestProblemsHideSecrets makes mistakes with a secret in every place of a batch file.
func TestProblemsHideSecrets(t *testing.T) {
	const secret = "sk-0123456789abcdefghijklmnopqrstuvwxyz-0123456789abcdefghijklmnopqrstuvwxyz"
	opts := Options{
		Env: lookupIn(map[string]string{"KEY": secret}),
		Set: []string{"run.timeout=${KEY}", "run.what=" + secret, "run.poll_interval=" + secret},
	}
	_, problems := Parse("batch.yaml", []byte(`version: ${KEY}
secrets: [KEY]
pipeline:
  name: p
  nodes:
    topic: {type: "${KEY}", inputs: {input_type: "${KEY}"}}
    count: {type: input, inputs: {input_type: int32, whatever: "${KEY}"}}
    shout: {type: text_formatter, inputs: {text: "{{ topic.text }} {{ ${KEY}.x }} {{ ${KEY} }}", formatter: "my ${KEY}", max_num_token: "x ${KEY}"}}
    out: {type: output, inputs: {output_type: string, value: "`+secret+` {{ nobody.text }}"}}
batches:
  b: {from: "${KEY}/x.csv", map: {topic: "{{ ${KEY}.a }}"}}
  c: {inputs: [{topic: x, count: "${KEY}"}, {topic: x, count: "some text before ${KEY}"}]}
run: {backend: "${KEY}", concurrency: "${KEY}"}
results: {path: "${KEY}/{{ x }}"}
`), opts)
	if len(problems) < 10 {
		t.Fatalf("only %d problems: %s", len(problems), problems.Error())
	}
	if got := problems.Error(); strings.Contains(got, secret[:8]) || !strings.Contains(got, hidden) {
		t.Errorf("a secret is shown:\n%s", got)
	}
}
