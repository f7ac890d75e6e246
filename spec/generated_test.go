package spec

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestInvalidGenerated are invalid files too large to keep.
func TestInvalidGenerated(t *testing.T) {
	topic := func(value string) string {
		return oneInput + "batches:\n  b:\n    inputs:\n      - topic: " + value + "\n"
	}
	manyLines := strings.Repeat("      - {topic: a}\n", 20_000)
	for _, test := range []struct{ name, text, want string }{
		{"scalar of 10 MB", topic(strings.Repeat("a", 10<<20)), `batch.yaml:10:16: a value of 10485760 bytes; the limit for one value is 1048576`},
		{"flow 900 deep", topic(strings.Repeat("[", 900) + strings.Repeat("]", 900)), `input "topic": it is a list`},
		{"flow 5,000 deep", topic(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), "batch.yaml:10:1012: nested more than 1000 levels deep"},
		{"flow 20,000 deep", topic(strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), "batch.yaml:10:"},
		{"block 2,000 deep", oneInput + "batches:\n" + block(2000), "nested more than 1000 levels deep"},
		{"block 10,000 deep", oneInput + "batches:\n" + block(10_000), "batch.yaml:"},
		{"error after many lines", topic("a") + manyLines + "   bad\n", "batch.yaml:20011:4: not valid YAML"},
		{"quote that is never closed before many lines", topic(`"a`) + manyLines, "batch.yaml:10:"},
		{"second document after many lines", topic("a") + manyLines + "---\nversion: 1\n", "batch.yaml:20011:1: a second YAML document"},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			_, problems := Parse("batch.yaml", []byte(test.text), Options{})
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			if len(problems) == 0 {
				t.Fatal("nothing is found to be wrong")
			}
			checkPlaces(t, problems)
			if len(problems) > 3 {
				t.Errorf("%d problems for one mistake", len(problems))
			}
			if got := problems.Error(); !strings.Contains(got, test.want) || len(got) > 10_000 {
				t.Errorf("%q is not in: %.500s", test.want, got)
			}
		})
	}
}

// block nests maps by indentation.
func block(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i+1))
	}
	return b.String()
}
