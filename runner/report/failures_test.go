package report

import (
	"strings"
	"testing"
)

func TestFailed(t *testing.T) {
	atNode := failed(3, "d", "denied", "401\nthe key is wrong")
	atNode.Error.Node, atNode.Error.StatusCode = "llm", 401
	path := write(t, succeeded(0, "a"), atNode,
		failed(1, "b", "run_failed", "node n (text): first"), failed(2, "c", "run_failed", "second"),
		failed(4, "e", "rate_limited", strings.Repeat("long ", 50)))
	rerun(t, path, succeeded(4, "e"))
	r, _ := open(t, path)
	all, err := Failed(r)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "failures", all, []*Failures{{Batch: "facts", Results: path, Items: 5, NotSucceeded: 3, Classes: []*Class{
		{"run_failed", 2, 2. / 3, Example{ID: "b", Message: "node n (text): first"}},
		{"denied", 1, 1. / 3, Example{ID: "d", Node: "llm", StatusCode: 401, Message: "401\nthe key is wrong"}},
	}}})
	want(t, "table", all[0].String(), `facts: 3 of 5 items did not succeed
CLASS       COUNT  SHARE  FOR EXAMPLE
run_failed  2      66.7%  item b: node n (text): first
denied      1      33.3%  item d, node llm: 401
`)
}

func TestNothingFailed(t *testing.T) {
	r, _ := open(t, write(t, succeeded(0, "a"), succeeded(1, "b")))
	all, err := Failed(r)
	want(t, "error", err, nil)
	want(t, "failures", all[0].String(), "facts: all of 2 items succeeded\n")
}

func TestExampleIsOneLine(t *testing.T) {
	want(t, "long", Example{ID: strings.Repeat("i", 99), Message: strings.Repeat("m", 999)}.String(),
		"item "+strings.Repeat("i", 60)+"…: "+strings.Repeat("m", 120)+"…")
	want(t, "control characters", Example{ID: "a\tb", Message: "\n red \x1b[31m\a\nmore"}.String(), "item a b: red  [31m")
	want(t, "node", Example{ID: "a", Node: "n", Message: "node n (text): x"}.String(), "item a: node n (text): x")
}
