package spec

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSameInputsSameID reads the same inputs from all formats, with keys in
// another order, other spellings of numbers, and defaults left out.
func TestSameInputsSameID(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.csv"), "count,topic\n7,space\n")
	write(t, filepath.Join(dir, "b.jsonl"), `{"topic": "space", "count": 7}`)
	write(t, filepath.Join(dir, "c.json"), `[{"count": "7", "topic": "spa\u0063e"}]`)
	write(t, filepath.Join(dir, "d.yaml"), "- {topic: space, count: 0x7}")
	write(t, filepath.Join(dir, "e.txt"), "space\n")
	write(t, filepath.Join(dir, "f.csv"), "topic,count\nspace,\n")
	const id = "e749465dea5fbd1a"
	var first Item
	for i, body := range []string{
		"{from: a.csv}", "{from: b.jsonl}", "{from: c.json}", "{from: d.yaml}", "{from: f.csv}",
		"{inputs: [{topic: space}]}", "{inputs: [{count: 7.0, topic: space}]}", "{matrix: {topic: [space], count: [7]}}",
		`{from: e.txt, map: {topic: "{{ row.text }}"}}`, `{from: b.jsonl, map: {topic: "{{ row.topic }}", count: "{{ row.count }}"}}`,
	} {
		items := itemsOf(t, batchOf(t, dir, twoInputs, body), nil)
		if len(items) != 1 || items[0].Err != nil {
			t.Fatalf("%s: %v", body, inputsOf(items))
		}
		if i == 0 {
			first = items[0]
		}
		if items[0].ID != first.ID || items[0].Digest != first.Digest {
			t.Errorf("%s: id %s digest %s, but %s %s from a.csv", body, items[0].ID, items[0].Digest, first.ID, first.Digest)
		}
	}
	// Results files of earlier versions hold ids: they must never change.
	if first.ID != id {
		t.Errorf("the id is now %s", first.ID)
	}
	if !strings.HasPrefix(first.Digest, first.ID) || len(first.Digest) != 32 {
		t.Errorf("digest %s of id %s", first.Digest, first.ID)
	}
	other := itemsOf(t, batchOf(t, dir, twoInputs, "{inputs: [{topic: space, count: 8}]}"), nil)
	if other[0].ID == first.ID || other[0].Digest == first.Digest {
		t.Error("other inputs have the same id")
	}
}

// TestIDs are the ids that items get, and what is wrong with some.
func TestIDs(t *testing.T) {
	hash := func(topic string) string {
		return itemsOf(t, batchOf(t, "", oneInput, "{inputs: [{topic: "+topic+"}]}"), nil)[0].ID
	}
	for _, test := range []struct {
		name, body, stdin string
		ids               []string
		wrong             map[int]string // index to class and a part of the message
	}{
		{name: "equal inputs", body: "{from: '-', format: txt}", stdin: "a\nb\na\na\nb\n",
			ids: []string{hash("a"), hash("b"), hash("a") + "-2", hash("a") + "-3", hash("b") + "-2"}},
		{name: "keys", body: `{from: '-', map: {topic: "{{ row.t }}"}, key: "{{ row.n }}/{{ row.t }}"}`, stdin: `{"n": 1, "t": "x"}` + "\n" + `{"n": 1.0, "t": "x"}`,
			ids: []string{"1/x", "1.0/x"}},
		{name: "key that no input uses", body: `{from: '-', key: "{{ row.n }}"}`, stdin: `{"n": "k", "topic": "x"}`, ids: []string{"k"}},
		{name: "duplicate keys of a stream", body: `{from: '-', key: "{{ row.n }}"}`,
			stdin: "{\"n\": 1, \"topic\": \"x\"}\n\n{\"n\": 2, \"topic\": \"x\"}\n{\"n\": 1, \"topic\": \"y\"}\n{\"n\": 1, \"topic\": \"z\"}",
			ids:   []string{"1", "2", "1#4", "1#5"},
			wrong: map[int]string{2: `duplicate_key: standard input:4:1: key "1" is that of line 1 too`, 3: `duplicate_key: standard input:5:1: key "1" is that of line 1 too`}},
		{name: "keys are trimmed, of good rows and bad", body: `{from: '-', key: "{{ row.n }}"}`, stdin: "{\"n\": \" 1 \", \"topic\": \"x\"}\n{\"n\": \" 2 \", \"topic\": []}",
			ids: []string{"1", "2"}, wrong: map[int]string{1: "it is a list"}},
		{name: "a key inside of a value", body: `{from: '-', key: "{{ row.meta.id }}"}`, stdin: "{\"meta\": {\"id\": 7}, \"topic\": \"x\"}", ids: []string{"7"}},
		{name: "a bad row with another's key", body: `{from: '-', key: "{{ row.n }}"}`, stdin: "{\"n\": 1, \"topic\": \"x\"}\n{\"n\": 1, \"topic\": []}",
			ids: []string{"1", "1#2"}, wrong: map[int]string{1: `invalid_input: standard input:2:1: input "topic": it is a list`}},
		{name: "a bad row keeps its key", body: `{from: '-', key: "{{ row.n }}"}`, stdin: "{\"n\": 1, \"topic\": []}\n{\"n\": 2, \"topic\": \"y\"}",
			ids: []string{"1", "2"}, wrong: map[int]string{0: `invalid_input: standard input:1:1: input "topic": it is a list`}},
		{name: "an empty key", body: `{from: '-', key: "{{ row.n }}"}`, stdin: "{\"n\": \" \", \"topic\": \"x\"}\n{\"n\": null, \"topic\": \"x\"}",
			ids: []string{"*", "*"}, wrong: map[int]string{0: "invalid_input: standard input:1:1: the row's key is empty", 1: "key is empty"}},
		{name: "a key without its column", body: `{from: '-', key: "{{ row.n }}"}`, stdin: `{"topic": "x"}`,
			ids: []string{"*"}, wrong: map[int]string{0: `the row has no "n"`}},
		{name: "equal bad rows", body: "{from: '-'}", stdin: "nothing\n{\"topic\": \"a\"}\nnothing\n[1]\n[2]\n",
			ids:   []string{"*", hash("a"), "*", "*", "*"},
			wrong: map[int]string{0: "not JSON", 2: "not JSON", 3: "the row is a list", 4: "the row is a list"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			items := itemsOf(t, batchOf(t, "", oneInput, test.body), strings.NewReader(test.stdin))
			again := itemsOf(t, batchOf(t, "", oneInput, test.body), strings.NewReader(test.stdin))
			if diff := cmp.Diff(idsOf(items), idsOf(again)); diff != "" {
				t.Errorf("ids differ from time to time: %s", diff)
			}
			for i, want := range test.ids {
				if i >= len(items) || want != "*" && items[i].ID != want || items[i].ID == "" {
					t.Fatalf("ids %q, want %q", idsOf(items), test.ids)
				}
			}
			for i, item := range items {
				got := ""
				if item.Err != nil {
					got = item.Err.Class + ": " + item.Err.Error()
				}
				if !strings.Contains(got, test.wrong[i]) || (got == "") != (test.wrong[i] == "") {
					t.Errorf("item %d: %q, want %q", i, got, test.wrong[i])
				}
				if item.Err != nil && item.Err.Class == InvalidInput && (item.Inputs != nil || item.Digest != "") {
					t.Errorf("item %d is bad but has inputs", i)
				}
			}
		})
	}
}

// TestBadRowIDsStay moves bad rows, and the folder that the batch file is seen
// from: their ids must stay, or each invocation would add results for them.
func TestBadRowIDsStay(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "rows.jsonl"), "{\"topic\": \"a\"}\nbad\n")
	write(t, filepath.Join(dir, "moved.jsonl"), "\n\nbad\n{\"topic\": \"a\"}\n")
	write(t, filepath.Join(dir, "rows.csv"), "topic\na\"b\nc\n")
	write(t, filepath.Join(dir, "notes", "x.txt"), "\xff")
	first := itemsOf(t, batchOf(t, dir, oneInput, "{from: rows.jsonl}"), nil)
	moved := itemsOf(t, batchOf(t, dir, oneInput, "{from: moved.jsonl}"), nil)
	if first[1].ID != moved[0].ID || first[0].ID != moved[1].ID {
		t.Errorf("%q, but %q after the rows moved", idsOf(first), idsOf(moved))
	}
	for _, body := range []string{"{from: rows.csv}", `{from: "notes/*.txt"}`} {
		outside := itemsOf(t, batchOf(t, dir, oneInput, body), nil)
		t.Chdir(dir)
		inside := itemsOf(t, batchOf(t, "", oneInput, body), nil)
		if outside[0].Err == nil || outside[0].ID != inside[0].ID {
			t.Errorf("%s: %q, but %q from the folder itself", body, idsOf(outside), idsOf(inside))
		}
	}
}

// TestScan counts what Items gives.
func TestScan(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "rows.jsonl"), "{\"n\": 1, \"topic\": \"a\"}\n{\"n\": 1, \"topic\": \"b\"}\nbad\n{\"n\": 2, \"topic\": []}\n")
	got := batchOf(t, dir, oneInput, `{from: rows.jsonl, key: "{{ row.n }}"}`).Scan(nil)
	if got.Rows != 4 || got.Bad != 3 || got.Duplicates != 1 || got.Fatal || len(got.Problems) != 3 {
		t.Errorf("%+v", got)
	}
	write(t, filepath.Join(dir, "rows.jsonl"), "\n")
	if got := batchOf(t, dir, oneInput, "{from: rows.jsonl}").Scan(nil); !got.Fatal || got.Rows != 0 {
		t.Errorf("an empty source: %+v", got)
	}
}
