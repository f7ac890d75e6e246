//go:build integration

package cli

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"

	"nightshift/schema"
	"nightshift/spec"
)

// Of a thousand tickets, so many must be labelled right; the model by itself
// gets all of them.
const enoughRight = 980

// ticketResult is what a result line says about a ticket.
type ticketResult struct {
	ID      string
	Status  string
	Outputs struct {
		Label  string
		Urgent bool
		Right  bool
	}
	Usage *struct {
		InputTokens  int `json:"input_tokens"`
		OutputTokens int `json:"output_tokens"`
		Cached       bool
	}
}

// readResults reads a results file: every line fits the schema and succeeded,
// and no item has two.
func readResults(t *testing.T, path string) map[string]ticketResult {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	validator := schema.ResultValidator()
	results := map[string]ticketResult{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		v, err := spec.ParseJSON(lines.Bytes())
		if err == nil {
			err = validator.Validate(v)
		}
		var r ticketResult
		if err == nil {
			err = json.Unmarshal(lines.Bytes(), &r)
		}
		if _, twice := results[r.ID]; err != nil || twice || r.Status != "succeeded" {
			t.Fatalf("%s: %v, twice: %v\n%s", path, err, twice, lines.Bytes())
		}
		results[r.ID] = r
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return results
}

// checkLabels holds results against the table of tickets.
func checkLabels(t *testing.T, results map[string]ticketResult) {
	t.Helper()
	file, err := os.Open("../../examples/tickets_llm/tickets.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for _, row := range rows[1:] { // ticket_id, text, expected_label, expected_urgent
		r, ok := results[row[0]]
		if !ok {
			t.Fatalf("%s has no result", row[0])
		}
		is := r.Outputs.Label == row[2] && strconv.FormatBool(r.Outputs.Urgent) == row[3]
		if r.Outputs.Right != is {
			t.Errorf("%s: the example says right: %v, but its outputs are %+v, and expected is %v", row[0], r.Outputs.Right, r.Outputs, row[2:])
		}
		if is {
			right++
		}
	}
	t.Logf("%d of %d right", right, len(results))
	if len(results) != 1000 || right < enoughRight {
		t.Errorf("%d of %d right, want %d of 1000", right, len(results), enoughRight)
	}
}

var faultCount = regexp.MustCompile(`(?m)^aimock_chaos_triggered_total\{action="(\w+)".*\} (\d+)$`)

// readFaults gives how many faults there were, by their kind.
func readFaults(t *testing.T, url string) map[string]int {
	t.Helper()
	answer, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	faults := map[string]int{}
	for _, found := range faultCount.FindAllSubmatch(text, -1) {
		n, _ := strconv.Atoi(string(found[2]))
		faults[string(found[1])] += n
	}
	return faults
}
