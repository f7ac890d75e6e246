package vectorshift_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/spec"
)

// TestStatusCallsOfABatch: 64 runs at once that take a minute are polled within 250
// calls a minute of any kind, and each with 6 status calls at most, also in a batch
// that goes on for longer. Where runs are not alike, it is 6 on average.
func TestStatusCallsOfABatch(t *testing.T) {
	const perMinute, burst, meanLooks = 250, 4, 6
	minute := func(*rand.Rand) time.Duration { return time.Minute }
	about := func(r *rand.Rand) time.Duration {
		return 45*time.Second + time.Duration(r.Int64N(int64(30*time.Second)))
	}
	for name, batch := range map[string]struct {
		items, mostLooks int
		takes            func(*rand.Rand) time.Duration
	}{
		"64 from a cold start": {64, 6, minute},
		"256":                  {256, 6, minute},
		"64 from 45 to 75 s":   {64, 10, about},
		"256 from 45 to 75 s":  {256, 10, about},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := vectorshifttest.NewInProcess()
				defer s.Close()
				random := rand.New(rand.NewPCG(1, 2))
				s.Set(vectorshifttest.Settings{Takes: func(vectorshifttest.Run) time.Duration { return batch.takes(random) }})
				took := runBatch(t, s, runner.Plan{Total: batch.items, Concurrency: 64})
				most, looks := 0, 0
				for _, r := range s.Runs() {
					most, looks = max(most, r.Looks), looks+r.Looks
				}
				busiest := s.Busiest(time.Minute)
				t.Logf("in %v at most %d status calls for a run, %.2f on average; %d calls, in a minute at most %d", took, most, float64(looks)/float64(batch.items), len(s.Calls()), busiest)
				if most > batch.mostLooks || looks > meanLooks*batch.items {
					t.Errorf("a run took %d status calls, want at most %d, and %d on average", most, batch.mostLooks, meanLooks)
				}
				if busiest > perMinute+burst {
					t.Errorf("%d calls in a minute, want at most %d", busiest, perMinute+burst)
				}
				if ideal := time.Duration((batch.items+63)/64) * 75 * time.Second; took > 2*ideal {
					t.Errorf("it took %v, of which no more than %v is work", took, ideal)
				}
			})
		})
	}
}

// TestStatusCallsWithinNoRate: where calls may be as many as one likes, runs that take
// alike are not looked at more often for that, once it is known how long they take.
func TestStatusCallsWithinNoRate(t *testing.T) {
	const items, atOnce, meanLooks = 256, 16, 6
	synctest.Test(t, func(t *testing.T) {
		s := vectorshifttest.NewInProcess()
		defer s.Close()
		s.Set(vectorshifttest.Settings{Takes: func(vectorshifttest.Run) time.Duration { return time.Minute }})
		runBatch(t, s, runner.Plan{Total: items, Concurrency: atOnce, Rate: 6000})
		first, later := 0, 0
		for i, r := range s.Runs() {
			if i < atOnce {
				first += r.Looks
			} else {
				later += r.Looks
			}
		}
		mean := float64(later) / (items - atOnce)
		t.Logf("%.1f status calls for each of the first runs, %.2f for a later one", float64(first)/atOnce, mean)
		if mean > meanLooks {
			t.Errorf("a run took %.2f status calls, want at most %d", mean, meanLooks)
		}
	})
}

// TestLooksBehindStarts: the looks at runs have to wait for a rate that starts use up.
// What has succeeded in its time has not timed out, however late that is seen.
func TestLooksBehindStarts(t *testing.T) {
	for name, plan := range map[string]runner.Plan{
		"more at once than are called a minute": {Total: 1000, Concurrency: 1000, Rate: 250, Timeout: 3 * time.Minute},
		"more than are called in the time":      {Total: 300, Concurrency: 300, Rate: 60, Timeout: 90 * time.Second},
		"looks further apart than the time":     {Total: 40, Concurrency: 20, PollInterval: 10 * time.Minute, Timeout: 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := vectorshifttest.NewInProcess()
				defer s.Close()
				s.Set(vectorshifttest.Settings{Takes: func(vectorshifttest.Run) time.Duration { return time.Minute }})
				t.Logf("in %v", runBatch(t, s, plan)) // all of them succeed
				if n := len(s.Calls(vectorshifttest.Terminate)); n != 0 || len(s.Runs()) != plan.Total {
					t.Errorf("%d runs, %d calls to terminate one", len(s.Runs()), n)
				}
			})
		})
	}
}

// runBatch runs so many items as the plan says on a platform, with what a batch file
// says of itself where the plan does not.
func runBatch(t *testing.T, s *vectorshifttest.Server, plan runner.Plan) time.Duration {
	client, err := vectorshift.New(vectorshift.Options{BaseURL: s.URL, Key: s.Key, HTTP: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{}
	for i := range plan.Total {
		rows = append(rows, fmt.Sprintf(`{"in":"%d"}`, i))
	}
	file, problems := spec.Parse("batch.yaml", []byte(`version: 1
pipeline:
  name: minutes
  nodes:
    in: {type: input}
    out: {type: output, inputs: {value: "{{ in.text }}"}}
run: {backend: vectorshift}
batches: {b: {inputs: [`+strings.Join(rows, ",")+"]}}\n"), spec.Options{Env: func(string) (string, bool) { return "", false }})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r, began, results := file.Run, time.Now(), &recorder{}
	plan.Batch, plan.PipelineID, plan.Generation, plan.Rows = file.Batches[0], s.Put(echoObject()), "g", plan.Total
	plan.Timeout, plan.PollInterval = cmp.Or(plan.Timeout, r.Timeout), cmp.Or(plan.PollInterval, r.PollInterval)
	plan.Rate, plan.Retry, plan.Redactor = cmp.Or(plan.Rate, r.Rate.RequestsPerMinute), r.Retry, file.Redactor
	outcome, err := runner.Run(t.Context(), &plan, vectorshift.NewBackend(client, t.TempDir()), results)
	if err != nil || outcome.Counts[runner.Succeeded] != plan.Total || results.written != plan.Total {
		t.Fatalf("%v, %+v, %d results", err, outcome, results.written)
	}
	return time.Since(began)
}

// echoObject is a pipeline, as the platform keeps it, that gives its input.
func echoObject() map[string]any {
	var object map[string]any
	err := json.Unmarshal([]byte(`{"name": "minutes", "nodes": {
		"input_1": {"id": "input_1", "name": "in", "type": "input", "task_name": "input", "execution_mode": "normal", "inputs": {}, "outputs": ["text"]},
		"output_1": {"id": "output_1", "name": "out", "type": "output", "task_name": "output", "execution_mode": "normal", "inputs": {"value": "{{ input_1.text }}"}, "outputs": []}
	}}`), &object)
	if err != nil {
		panic(err)
	}
	return object
}

// recorder counts results.
type recorder struct{ pending, written int }

func (r *recorder) Record(*runner.Result) { r.pending++ }

func (r *recorder) Commit() (int, error) {
	n := r.pending
	r.written, r.pending = r.written+n, 0
	return n, nil
}
