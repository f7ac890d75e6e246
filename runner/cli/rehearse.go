package cli

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/spec"
)

// A rehearsal runs a batch in the engine, whatever the backend of the file is, with
// calls of models and addresses imitated. Its results have a place of their own, and
// nothing else is written.

// validateRehearsal refuses flags that are about results of real runs.
func (o *runOptions) validateRehearsal(cmd *cobra.Command) error {
	if !o.rehearse {
		return nil
	}
	for _, name := range []string{"retry-failed", "fresh", "accept-changed-pipeline"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--rehearse runs everything anew and leaves real results alone, so --%s has nothing to do; give one of them", name)
		}
	}
	if o.onInterrupt == onInterruptDetach {
		return fmt.Errorf("--on-interrupt detach leaves runs going, but those of a rehearsal end with nightshift; use drain or terminate")
	}
	return nil
}

// rehearseLocally makes a file that is for another backend one for the engine.
func (o *runOptions) rehearseLocally(path string, std streams) error {
	if !o.rehearse {
		return nil
	}
	file, _, err := o.read(path, std)
	if err != nil || file == nil || file.Run.Backend == "local" {
		return err // what is wrong with the file is said when it is loaded
	}
	if o.rehearsedFor = file.Run.Backend; o.rehearsesPlatform() {
		o.platformRate = file.Run.Rate.RequestsPerMinute
	}
	o.backend, o.sets = "", append(o.sets, "run.backend=local")
	return nil
}

// rehearsesPlatform tells whether the engine stands for the hosted platform.
func (o *runOptions) rehearsesPlatform() bool { return o.rehearsedFor == "vectorshift" }

// assumed says what a rehearsal takes calls for.
func (o *runOptions) assumed(file *spec.File) string {
	how := file.Rehearse
	said := "rehearsal: "
	if o.rehearsedFor != "" {
		said += fmt.Sprintf("the engine runs it here, in the place of %s; ", o.rehearsedFor)
	}
	said += fmt.Sprintf("calls of models and addresses are imitated, each of %v", how.Latency)
	if how.P95 > how.Latency {
		said += fmt.Sprintf(" in the median, %v at the 95th percentile", how.P95)
	} else if how.Latency == spec.Defaults().Rehearse.Latency {
		said += " (the default of rehearse.latency)"
	}
	if o.platformRate > 0 {
		said += fmt.Sprintf("; runs are started and looked at as there, with %d calls a minute", o.platformRate)
	}
	if how.Failures > 0 {
		said += fmt.Sprintf("; %s of them fail", strconv.FormatFloat(100*how.Failures, 'g', 4, 64)+"%")
	}
	return said
}

// foretold says what a batch would take or, where it was stopped, what it had taken.
func foretold(j *job, s *runner.Summary, outcome runner.Outcome) string {
	t := s.Tally()
	took := "the models would take no tokens"
	if n := t.InputTokens + t.OutputTokens; n > 0 {
		took = fmt.Sprintf("the models would take about %s tokens", about(n))
		if t.NanoUSD > 0 || t.Unpriced == 0 {
			took += ", " + dollars(t.USD()) + " by run.prices and the list prices"
		}
		if t.NanoUSD > 0 && t.Unpriced > 0 {
			took += " and what has no known price"
		}
	}
	items := grouped(t.Items) + " " + plural(t.Items, "item", "items")
	if outcome.Stopped != runner.NotStopped {
		if total := j.plan.Total; total > t.Items {
			items = fmt.Sprintf("%s of %s %s", grouped(t.Items), grouped(total), plural(total, "item", "items"))
		}
		items, took = "stopped after "+items, "for these "+took
	}
	return fmt.Sprintf("rehearsal of %s: %s in %v at concurrency %d; %s; nothing was asked of anybody",
		j.plan.Batch.Name, items, rounded(s.Took()), j.plan.Concurrency, took)
}

// rounded keeps as much of a duration as a forecast is good for.
func rounded(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// about is a number to two digits: 950, 1.2k, 35k, 1.2M.
func about(n int64) string {
	f, unit := float64(n), ""
	for _, next := range []string{"k", "M", "G"} {
		if f < 999.5 {
			break
		}
		f, unit = f/1000, next
	}
	if f < 9.95 && unit != "" {
		return strconv.FormatFloat(f, 'f', 1, 64) + unit
	}
	return strconv.FormatFloat(math.Round(f), 'f', 0, 64) + unit
}

// dollars writes cents, and of less than one what there is.
func dollars(usd float64) string {
	if usd == 0 || usd >= 0.01 {
		return "$" + strconv.FormatFloat(usd, 'f', 2, 64)
	}
	return "$" + strconv.FormatFloat(usd, 'g', 2, 64)
}

// rehearsalPath is where the results of a rehearsal go, beside the real ones.
func rehearsalPath(results string) string {
	if results == "-" || isDevice(results) {
		return results
	}
	ext := filepath.Ext(results)
	return strings.TrimSuffix(results, ext) + ".rehearsal" + ext
}

// realPlaces are the files that real runs of a batch file write, with {{ date }} in
// the place of dates.
func (o *runOptions) realPlaces(file *spec.File) []string {
	var real runOptions
	var places []string
	for _, b := range file.Batches {
		if j := real.placeAt(file, b, datePlaceholder); j.path != "-" && !isDevice(j.path) {
			places = append(places, j.path, j.path+".journal", j.path+".retry", j.path+".lock", j.summaryPath(""))
		}
	}
	return places
}

// checkRehearsal refuses a place of results that is one of real results, whether
// there are any yet or not.
func (o *runOptions) checkRehearsal(file *spec.File, j *job) error {
	if !o.rehearse || j.path == "-" {
		return nil
	}
	if place := samePath(j.path, o.realPlaces(file)); place != "" {
		return fmt.Errorf("batch %s: the rehearsal would be written to %s, which is for real runs; choose another path with --output", j.batch.Name, place)
	}
	return nil
}
