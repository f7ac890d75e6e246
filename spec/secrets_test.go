package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
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

// piecewise is what is shown of text that comes in these pieces.
func piecewise(r *Redactor, pieces []string) (shown string, err error) {
	held := ""
	for _, piece := range pieces {
		text := held + piece
		show, rest := r.Hold(text)
		if show+rest != text {
			return "", fmt.Errorf("%q became %q and %q", text, show, rest)
		}
		shown, held = shown+r.Text(show), rest
	}
	return shown + r.Text(held), nil
}

// TestHoldHidesAsTextDoes: wherever a text is split, what is shown of it piece by
// piece is what would be shown of it whole, and stands whatever follows.
func TestHoldHidesAsTextDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few letters make secrets that hold, repeat and overlap one another.
		letters := rapid.StringOfN(rapid.SampledFrom([]rune("ab\"é")), 0, 12, -1)
		secrets := rapid.SliceOfN(rapid.Map(letters, func(s string) string { return "a" + s }), 0, 3).Draw(t, "secrets")
		r := NewRedactor(secrets)
		pieces := rapid.SliceOfN(rapid.OneOf(letters, rapid.SampledFrom(append(secrets, ""))), 0, 8).Draw(t, "pieces")
		text := strings.Join(pieces, "")
		at := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 8).Draw(t, "cuts") // also inside of a rune
		slices.Sort(at)
		var cut []string
		from := 0
		for _, to := range append(at, len(text)) {
			cut, from = append(cut, text[from:to]), to
		}
		for _, split := range [][]string{pieces, cut, strings.Split(text, "")} {
			got, err := piecewise(r, split)
			if err != nil {
				t.Fatal(err)
			}
			if wanted := r.Text(text); got != wanted {
				t.Fatalf("%q of %q is shown, want %q", got, split, wanted)
			}
		}
		show, _ := r.Hold(text)
		if more := rapid.OneOf(letters, rapid.SampledFrom(append(secrets, ""))).Draw(t, "more"); !strings.HasPrefix(r.Text(text+more), r.Text(show)) {
			t.Fatalf("%q of %q is shown, but with %q it would be %q", r.Text(show), text, more, r.Text(text+more))
		}
	})
}

func TestHold(t *testing.T) {
	r := NewRedactor([]string{"swordfish", "sword", "fishfi", "abcab"})
	for text, held := range map[string]string{
		"": "", "my": "", "my s": "s", "my swor": "swor", "my sword": "sword", "my swordf": "swordf", "my swordfis": "swordfis",
		"my swordfish": "", "my swordx": "", "my swordsw": "sw", "swords": "s", "fishf": "fishf", "fishfi": "", "swordfishfi": "fi",
		"abcab": "", "abca": "abca", "abcabx": "", "abcabab": "ab", "xab": "ab", "sswo": "swo",
	} {
		if show, rest := r.Hold(text); rest != held || show+rest != text {
			t.Errorf("of %q %q is held, want %q", text, rest, held)
		}
	}
	for _, none := range []*Redactor{nil, {}, NewRedactor([]string{"abc"})} {
		if show, held := none.Hold("ab"); show != "ab" || held != "" {
			t.Error("a redactor without secrets holds something")
		}
	}
}

func TestWithKeys(t *testing.T) {
	const key = "sk-0123456789abc" // 16 characters
	listed := NewRedactor([]string{"swordfish", "test"})
	for name, test := range map[string]struct {
		r      *Redactor
		keys   []string
		wanted string
	}{
		"none":                  {listed, nil, "[hidden] [hidden] ollama sk-0123456789abc sk-0123456789ab"},
		"placeholders":          {listed, []string{"ollama", "test", "", "sk-0123456789ab"}, "[hidden] [hidden] ollama sk-0123456789abc sk-0123456789ab"},
		"a key":                 {listed, []string{"ollama", key}, "[hidden] [hidden] ollama [hidden] sk-0123456789ab"},
		"without secrets":       {&Redactor{}, []string{"ollama", key}, "swordfish test ollama [hidden] sk-0123456789ab"},
		"without a redactor":    {nil, []string{key}, "swordfish test ollama [hidden] sk-0123456789ab"},
		"neither":               {nil, []string{"ollama"}, "swordfish test ollama sk-0123456789abc sk-0123456789ab"},
		"one that is listed":    {NewRedactor([]string{key}), []string{key, key}, "swordfish test ollama [hidden] sk-0123456789ab"},
		"a listed placeholder":  {NewRedactor([]string{"ollama"}), []string{"ollama", key}, "swordfish test [hidden] [hidden] sk-0123456789ab"},
		"twice, one by another": {listed.WithKeys([]string{key}), []string{"sk-0123456789abcdef"}, "[hidden] [hidden] ollama [hidden] sk-0123456789ab"},
	} {
		keys := slices.Clone(test.keys)
		got := test.r.WithKeys(test.keys).Text("swordfish test ollama " + key + " sk-0123456789ab")
		if got != test.wanted {
			t.Errorf("%s: %s, want %s", name, got, test.wanted)
		}
		if !slices.Equal(keys, test.keys) {
			t.Errorf("%s: the keys became %q", name, test.keys)
		}
	}
	if got := listed.Text(key); got != key {
		t.Errorf("the redactor itself hides keys now: %s", got)
	}
	// In whatever form it is written.
	awkward := (*Redactor)(nil).WithKeys([]string{"sk \"0123456789\"/abc\n"})
	for _, form := range []string{"sk \"0123456789\"/abc", `sk \"0123456789\"/abc`, "sk+%220123456789%22%2Fabc", "sk%20%220123456789%22%2Fabc"} {
		if got := awkward.Text(form); got != hidden {
			t.Errorf("%s became %s", form, got)
		}
	}
}
