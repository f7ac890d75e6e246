package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nightshift/runner"
	"nightshift/spec"
)

// values draws plain values.
func values(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Bool().AsAny(),
		rapid.String().AsAny(),
		rapid.SampledFrom([]any{"", "\x00\u2028<&>\U0001F600\ufffd", "\"\\\n", "null"}),
		rapid.Map(rapid.Int64(), func(n int64) any { return json.Number(fmt.Sprint(n)) }),
		rapid.Map(rapid.Float64(), func(f float64) any { return json.Number(string(spec.AppendJSON(nil, f))) }),
		rapid.SampledFrom([]any{
			json.Number("123456789012345678901234567890"), json.Number("9007199254740993"), json.Number("1e400"),
			json.Number("0.1000000000000000055511151231257827"), json.Number("-0"), json.Number("1.0"), json.Number("1E+2"),
		}),
	}
	if depth > 0 {
		inner := rapid.Deferred(func() *rapid.Generator[any] { return values(depth - 1) })
		kinds = append(kinds,
			rapid.SliceOfN(inner, 0, 4).AsAny(),
			rapid.MapOfN(rapid.String(), inner, 0, 4).AsAny())
	}
	return rapid.OneOf(kinds...)
}

func objectsOfValues() *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.String(), values(3), 0, 5)
}

func items() *rapid.Generator[Item] {
	return rapid.Custom(func(t *rapid.T) Item {
		it := Item{
			ID:     rapid.StringN(1, 20, -1).Draw(t, "id"),
			Index:  rapid.IntRange(0, 1<<40).Draw(t, "index"),
			Inputs: objectsOfValues().Draw(t, "inputs"),
			Digest: rapid.StringMatching(`[0-9a-f]{0,32}`).Draw(t, "digest"),
		}
		if rapid.Bool().Draw(t, "stood") {
			it.Attempts = rapid.IntRange(0, 9).Draw(t, "attempts")
			it.Duplicate = rapid.Bool().Draw(t, "duplicate")
			it.AnswersSince = time.Unix(rapid.Int64Range(0, 1e10).Draw(t, "since"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds")).UTC()
			it.Usage = &runner.Usage{
				InputTokens: rapid.Int64().Draw(t, "tokens"), OutputTokens: 3, USD: rapid.Float64().Draw(t, "usd"),
				Unpriced: rapid.Bool().Draw(t, "unpriced"), Cached: rapid.Bool().Draw(t, "cached"),
			}
		}
		return it
	})
}

// TestItemsAsTheyWere hands items over and reads them again: they are the same to the
// last digit, and so are the digests of their inputs.
func TestItemsAsTheyWere(t *testing.T) {
	s := open(t)
	pass := 0
	rapid.Check(t, func(rt *rapid.T) {
		pass++
		key := PassKey("g", "b", fmt.Sprint(pass))
		all := rapid.SliceOfN(items(), 1, 12).Draw(rt, "items")
		size := rapid.IntRange(1, 5).Draw(rt, "size")
		w := s.PassWriter(t.Context(), key, size)
		for _, it := range all {
			fine(t, w.Add(t.Context(), it))
		}
		fine(t, w.Close(t.Context(), Pass{Batch: "b"}))
		p, err := s.Pass(t.Context(), key)
		fine(t, err)
		if p.Items != len(all) || p.Shards != (len(all)+size-1)/size || w.Shards() != p.Shards {
			rt.Fatalf("%d items in %d shards", p.Items, p.Shards)
		}
		var read []Item
		for n := range p.Shards {
			some, err := s.Items(t.Context(), key, n+1)
			fine(t, err)
			if len(some) > size || n+1 < p.Shards && len(some) < size {
				rt.Fatalf("shard %d has %d items", n+1, len(some))
			}
			read = append(read, some...)
		}
		if diff := cmp.Diff(all, read); diff != "" {
			rt.Fatalf("(-handed over +read):\n%s", diff)
		}
		for i := range read {
			if a, b := spec.AppendJSON(nil, all[i].Inputs), spec.AppendJSON(nil, read[i].Inputs); string(a) != string(b) {
				rt.Fatalf("inputs were %s, and are %s", a, b)
			}
		}
	})
}

// TestItemsOfABatch hands over the items of a real source, and compares what the
// digests are made of.
func TestItemsOfABatch(t *testing.T) {
	dir := t.TempDir()
	fine(t, os.WriteFile(filepath.Join(dir, "rows.jsonl"), []byte(`{"topic": "a\u0000ü", "n": 2147483647}`+"\n"+`{"topic": "b"}`+"\n"), 0o600))
	f, problems := spec.Parse(filepath.Join(dir, "batch.yaml"), []byte(`version: 1
pipeline:
  name: two
  nodes:
    topic: {type: input, inputs: {input_type: string}}
    n: {type: input, inputs: {input_type: int32, use_default_value: true, default_value: 7}}
    out: {type: output, inputs: {output_type: string, value: "{{ topic.text }}{{ n.value }}"}}
batches:
  b: {from: rows.jsonl}
`), spec.Options{})
	if f == nil {
		t.Fatal(problems)
	}
	s := open(t)
	w := s.PassWriter(t.Context(), passKey, 10)
	var all []spec.Item
	fine(t, f.Batches[0].Items(nil, func(it spec.Item) bool {
		all = append(all, it)
		fine(t, w.Add(t.Context(), ItemOf(it, runner.Standing{})))
		return true
	}))
	fine(t, w.Close(t.Context(), Pass{}))
	read, err := s.Items(t.Context(), passKey, 1)
	fine(t, err)
	want(t, "items", len(all), 2)
	for i := range read {
		want(t, "item", read[i].Spec(), all[i])
	}
}

func TestStanding(t *testing.T) {
	standing := runner.Standing{Attempts: 2, Usage: &runner.Usage{USD: 1}, Duplicate: true, AnswersSince: time.Unix(5, 0)}
	it := ItemOf(spec.Item{ID: "a"}, standing)
	want(t, "standing", it.Standing(), standing)
}

func TestNoItems(t *testing.T) {
	s := open(t)
	w := s.PassWriter(t.Context(), passKey, 3)
	fine(t, w.Close(t.Context(), Pass{}))
	want(t, "store", tree(t, s.String()), []string(nil))
	_, err := s.Items(t.Context(), passKey, 1)
	says(t, "items", err, "there is no passes/g/b/n/items/000001.jsonl")
	_, err = s.Pass(t.Context(), passKey)
	says(t, "pass", err, "there is no passes/g/b/n/pass.json")
}

// TestHalfAPass is one whose writer was killed: it is found, and is no pass.
func TestHalfAPass(t *testing.T) {
	s := open(t)
	w := s.PassWriter(t.Context(), passKey, 1)
	fine(t, w.Add(t.Context(), Item{ID: "a"}))
	fine(t, w.group.Wait())
	keys, err := s.Passes(t.Context(), "g", "b")
	fine(t, err)
	want(t, "passes", keys, []string{passKey})
	_, err = s.Pass(t.Context(), passKey)
	says(t, "pass", err, "there is no")
}

// TestPassWriterFails finds out that a shard could not be written before all is read.
func TestPassWriterFails(t *testing.T) {
	s := open(t)
	fine(t, os.WriteFile(filepath.Join(s.String(), "passes"), nil, 0o600))
	w := s.PassWriter(t.Context(), passKey, 1)
	var err error
	for n := 0; err == nil; n++ {
		if n > 1000 {
			t.Fatal("nobody noticed")
		}
		err = w.Add(t.Context(), Item{ID: "a"})
	}
	says(t, "add", err, "cannot write passes/g/b/n/items/")
	says(t, "close", w.Close(t.Context(), Pass{}), "cannot write passes/g/b/n/items/")
}

// TestPassWriterCancelled takes nothing that it does not write.
func TestPassWriterCancelled(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := s.PassWriter(ctx, passKey, 1)
	fine(t, w.Add(t.Context(), Item{ID: "a"}))
	cancel()
	for _, err := range []error{w.Add(t.Context(), Item{ID: "b"}), w.Add(ctx, Item{ID: "b"}), w.Close(ctx, Pass{})} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	_, err := s.Pass(t.Context(), passKey)
	says(t, "pass", err, "there is no")
}

func TestDamagedItems(t *testing.T) {
	s := open(t)
	good := `{"id":"a","index":0,"inputs":{"x":1},"digest":""}` + "\n"
	for text, says_ := range map[string]string{
		good + "x\n":       "items/000001.jsonl, line 2 is damaged, or of another version of nightshift",
		good + "{}":        "line 2 is damaged, or of another version of nightshift: the line has no end",
		good + "\n" + good: "line 2 is damaged",
		strings.Replace(good, `{"x":1}`, `[]`, 1):            "line 1 is damaged, or of another version of nightshift: inputs: not an object",
		strings.Replace(good, `{"x":1}`, `{"x":1,"x":2}`, 1): "line 1 is damaged",
		strings.Replace(good, `"index"`, `"other"`, 1):       "line 1 is damaged",
	} {
		fine(t, s.put(t.Context(), itemsObject(passKey, 1), []byte(text)))
		_, err := s.Items(t.Context(), passKey, 1)
		says(t, text, err, says_, s.String())
	}
}

func FuzzItems(f *testing.F) {
	f.Add(`{"id":"a","index":0,"inputs":{"x":[1e400,null,{"y":""}]},"digest":"d","attempts":2,"usage":{"input_tokens":1,"output_tokens":2,"usd":0.1,"unpriced":true,"cached":false},"duplicate":true,"answers_since":"2024-05-01T00:00:00.5Z"}` + "\n")
	f.Add(`{"id":"a","index":1e3,"inputs":null}` + "\n\n")
	s := inMemory()
	f.Fuzz(func(t *testing.T, text string) {
		fine(t, s.put(t.Context(), itemsObject(passKey, 1), []byte(text)))
		items, err := s.Items(t.Context(), passKey, 1)
		if err != nil {
			says(t, "error", err, "passes/g/b/n/items/000001.jsonl")
			return
		}
		var again []byte
		for i := range items {
			again = items[i].appendJSON(again)
		}
		fine(t, s.put(t.Context(), itemsObject(passKey, 1), again))
		same, err := s.Items(t.Context(), passKey, 1)
		fine(t, err)
		want(t, "read again", same, items)
	})
}
