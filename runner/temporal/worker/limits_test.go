package worker

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
)

// TestLimits: limits are those of the whole batch. A shard that is begun when one is
// reached starts nothing.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		run     string
		before  *runner.Tally // of the pass
		ended   flow.Sum      // shards
		gone    int
		rows    int
		scripts []string
		stop    flow.Stop
		started int
	}{
		"failures of earlier shards": {
			run: "run: {stop: {failures: 3}}", ended: flow.Sum{Items: 10, Succeeded: 7}, scripts: times(8, "ok"),
			stop: flow.Stop{Why: "failures", Reason: "3 items have not succeeded, and run.stop.failures is 3"},
		},
		"failures of all": {
			run:    "run: {stop: {failures: 4}}",
			before: &runner.Tally{Items: 2, Statuses: map[runner.State]int{runner.Succeeded: 1}}, ended: flow.Sum{Items: 10, Succeeded: 9},
			scripts: slices.Concat([]string{"1s fail"}, times(3, "2s"), []string{"1s fail"}, times(20, "2s")),
			stop:    flow.Stop{Why: "failures", Reason: "4 items have not succeeded, and run.stop.failures is 4"}, started: 5,
		},
		"failures of rows that are gone": {
			run:    "run: {stop: {failures: 1}}",
			before: &runner.Tally{Items: 2, Statuses: map[runner.State]int{runner.Succeeded: 1}}, gone: 1, scripts: times(8, "ok"), started: 8,
		},
		"share of failures": {
			run: `run: {stop: {failures: "10%"}}`, ended: flow.Sum{Items: 20, Succeeded: 15}, rows: 40, scripts: times(8, "ok"),
			stop: flow.Stop{Why: "failures", Reason: "5 of 40 items have not succeeded, and run.stop.failures is 10%"},
		},
		"dollars": {
			run: "run: {stop: {budget: {usd: 2}}}", ended: flow.Sum{Items: 5, Succeeded: 5, NanoUSD: 2e9}, scripts: times(8, "ok"),
			stop: flow.Stop{Why: "budget", Reason: "2.0000 USD are spent, and run.stop.budget.usd is 2"},
		},
		"dollars of here and there": {
			run: "run: {stop: {budget: {usd: 2}}}", ended: flow.Sum{Items: 5, Succeeded: 5, NanoUSD: 1e9}, scripts: times(12, "1s pay=250"),
			stop: flow.Stop{Why: "budget", Reason: "2.0000 USD are spent, and run.stop.budget.usd is 2"}, started: 4,
		},
		"unpriced": {
			run: "run: {stop: {budget: {usd: 2}}}", ended: flow.Sum{Items: 5, Succeeded: 5, Unpriced: 1}, scripts: times(8, "ok"),
			stop: flow.Stop{Why: "budget", Reason: "what an answer cost is not known, so run.stop.budget.usd cannot be kept; give run.prices"},
		},
		"tokens": {
			run:    "run: {stop: {budget: {tokens: 100}}}",
			before: &runner.Tally{Items: 1, Statuses: map[runner.State]int{runner.Succeeded: 1}, InputTokens: 30}, ended: flow.Sum{Items: 5, Succeeded: 5, InputTokens: 30, OutputTokens: 40}, scripts: times(8, "ok"),
			stop: flow.Stop{Why: "budget", Reason: "100 tokens are used, and run.stop.budget.tokens is 100"},
		},
		"nothing is left": {
			run: "run: {stop: {failures: 1}}", scripts: []string{"1s", "1s fail"}, started: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.run+"\n")
				w.pass.Before, w.pass.GoneFailed, w.pass.Concurrency = c.before, c.gone, 1
				if c.rows > 0 {
					w.pass.Rows = c.rows
				}
				w.hand(c.scripts...)
				worker := w.worker()
				end, err := tries(t, 1, worker.shard, flow.Shard{Store: w.dir, Pass: passKey, Number: 1, Window: 1, Before: c.ended})
				fine(t, err)
				want(t, "stop", end.Stop, c.stop)
				want(t, "runs", w.backend.started, c.started)
				want(t, "items", end.Sum.Items, c.started)
				worker.close()
				w.backend.idle(t)
			})
		})
	}
}

// TestLimitsOfLaterTries: what an earlier try of a shard did counts, too.
func TestLimitsOfLaterTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "run: {stop: {failures: 3}}\n")
		w.hand(slices.Concat(times(2, "1s fail"), times(2, "1s"), times(6, "5s"))...)
		first := w.worker()
		time.AfterFunc(1500*time.Millisecond, first.end)
		end, err := tries(t, 1, first.shard, flow.Shard{Store: w.dir, Pass: passKey, Number: 1, Window: 1})
		fine(t, err)
		want(t, "end of the first", end, flow.ShardEnd{Sum: flow.Sum{Items: 4, Succeeded: 2}, Left: true})
		before := w.backend.started
		second := w.worker()
		end, err = tries(t, 2, second.shard, flow.Shard{Store: w.dir, Pass: passKey, Number: 1, Window: 1, Before: flow.Sum{Items: 1}})
		fine(t, err)
		want(t, "stop", end.Stop.Why, "failures")
		want(t, "runs of the second try", w.backend.started-before, 0)
		want(t, "sum", end.Sum, flow.Sum{Items: 4, Succeeded: 2})
	})
}

// TestDeniedHere: where others have succeeded a worker whose key is refused leaves its
// shards to them; no item is to blame.
func TestDeniedHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.hand(times(40, "denied")...)
		worker := w.worker()
		_, err := tries(t, 1, worker.shard, flow.Shard{Store: w.dir, Pass: passKey, Number: 1, Window: 4, Before: flow.Sum{Items: 4, Succeeded: 1}})
		kind, again := kindOf(err)
		want(t, "error", kind, flow.RefusedError)
		want(t, "is tried again", again, true)
		says(t, err, "worker 7@here: it is refused what others are not", "401 Unauthorized", "check its keys")
		lines, _ := w.lines()
		want(t, "items with a line", len(lines), 0)
		want(t, "runs", w.backend.started <= 8, true)
		worker.close()
		w.backend.idle(t)
	})
}

// TestDeadline: past it nothing is started.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.pass.Deadline = time.Now().Add(1500 * time.Millisecond)
		w.hand(times(20, "1s")...)
		end, err := w.shard(w.worker(), 1)
		fine(t, err)
		want(t, "end", end, flow.ShardEnd{Sum: flow.Sum{Items: 8, Succeeded: 8}, Stop: flow.Stop{Why: "deadline"}})
	})
}

// TestAllAlike: runs that all fail alike end the batch, with their error but without
// its secrets, unless a run of an earlier shard has succeeded.
func TestAllAlike(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		first  string // that another try has run; "": there was none
		before *runner.Tally
		ended  flow.Sum
		stop   flow.Stop
		items  int
	}{
		"closed": {script: "closed", stop: flow.Stop{Why: "unreachable", Cause: "connection refused with key [hidden]"}},
		"denied": {script: "denied", stop: flow.Stop{Why: "denied", Cause: "POST models.test/v1 answered 401 Unauthorized: no such key"}},
		"proven": {script: "closed", ended: flow.Sum{Items: 4, Succeeded: 1}, items: 40},
		"before": {script: "closed", before: &runner.Tally{Items: 4, Statuses: map[runner.State]int{runner.Succeeded: 1}}, items: 40},
		"here":   {script: "closed", first: "ok", items: 41},
		"not":    {script: "closed", ended: flow.Sum{Items: 4}, stop: flow.Stop{Why: "unreachable", Cause: "connection refused with key [hidden]"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "")
				w.env["KEY"] = "sesame-open"
				w.load(strings.Replace(batchFile, "version: 1", "version: 1\nsecrets: [KEY]", 1))
				w.pass.Before = c.before
				scripts := times(40, c.script)
				try := 1
				if c.first != "" {
					scripts = append([]string{c.first}, scripts...)
					try = 2
				}
				w.hand(scripts...)
				if c.first != "" {
					w.has(1)
				}
				worker := w.worker()
				end, err := tries(t, try, worker.shard, flow.Shard{Store: w.dir, Pass: passKey, Number: 1, Window: 4, Before: c.ended})
				fine(t, err)
				if i := strings.Index(end.Stop.Cause, "connection refused"); i > 0 {
					end.Stop.Cause = end.Stop.Cause[i:]
				}
				want(t, "stop", end.Stop, c.stop)
				want(t, "alike", end.Alike, c.stop.Why != "")
				want(t, "items", end.Sum.Items, c.items)
			})
		})
	}
}
