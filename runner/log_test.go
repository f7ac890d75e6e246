package runner

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// logged runs a batch and gives what was logged from a level on.
func logged(t *testing.T, level slog.Level) []map[string]any {
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		plan := logPlan(t)
		plan.Total = 5
		plan.Deadline = time.Now().Add(3 * time.Second)
		plan.Concurrency = 1
		logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: level}))
		if _, err := Run(t.Context(), plan, resuming{waiting{newFake(t)}}, &memory{}, Log{Logger: logger}); err != nil {
			t.Error(err)
		}
	})
	var records []map[string]any
	for line := range bytes.Lines(out.Bytes()) {
		var record map[string]any
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

func logPlan(t *testing.T) *Plan {
	return newPlan(t, "a 1s", "b 1s refuse429=5s 1s", "c node", "d park=1h", "e 1m")
}

func messages(records []map[string]any) []string {
	var list []string
	for _, r := range records {
		list = append(list, r["level"].(string)+" "+r["msg"].(string))
	}
	return list
}

func TestLogAtInfo(t *testing.T) {
	records := logged(t, slog.LevelInfo)
	want(t, "records", messages(records), []string{
		"INFO batch begins",
		"INFO item parked",
		"WARN item did not succeed",
		"WARN no more runs are started",
		"INFO batch ended",
	})
	for i, wanted := range []map[string]any{
		{"batch": "b", "items": 5.0, "concurrency": 1.0, "pipeline_id": "p", "generation": "g"},
		{"batch": "b", "item": "b", "attempt": 1.0, "task_id": "run-1", "trace_id": traceOf(t, logPlan(t), "b", 1), "reason": "node llm (llm): POST models.test/v1/chat answered 429 Too Many Requests: slow down"},
		{"batch": "b", "item": "c", "status": "failed", "attempts": 1.0, "task_id": "run-2", "trace_id": traceOf(t, logPlan(t), "c", 1),
			"class": "run_failed", "error": "run: node llm (llm): no answer"},
		{"batch": "b", "reason": "stopped: deadline"},
		{"batch": "b", "succeeded": 2.0, "failed": 1.0, "cancelled": 0.0, "timed_out": 0.0},
	} {
		for key, value := range wanted {
			want(t, key+" of "+records[i]["msg"].(string), records[i][key], value)
		}
	}
}

func TestLogAtDebugHasEveryIDOfEveryRun(t *testing.T) {
	records := logged(t, slog.LevelDebug)
	want(t, "records", messages(records), []string{
		"INFO batch begins",
		"DEBUG run started", "DEBUG item ended",
		"DEBUG run started", "INFO item parked",
		"DEBUG run started", "WARN item did not succeed",
		"DEBUG run started", "DEBUG item parked", // it was not refused
		"DEBUG run started", "WARN no more runs are started", "DEBUG item ended",
		"INFO batch ended",
	})
	for _, r := range records {
		if r["item"] != nil && (r["task_id"] == "" || r["trace_id"] != traceOf(t, logPlan(t), r["item"].(string), 1)) {
			t.Errorf("%v", r)
		}
	}
}

func TestLogTellsOfResumption(t *testing.T) {
	var out bytes.Buffer
	log := Log{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	log.Handle(Event{Kind: Resumed, Batch: "b", ID: "a", Attempt: 1, Handle: Handle{PipelineID: "p", TaskID: "t", TraceID: "r"}})
	if !bytes.HasSuffix(out.Bytes(), []byte(" level=DEBUG msg=\"run resumed\" batch=b item=a attempt=1 task_id=t trace_id=r\n")) {
		t.Errorf("%s", out.Bytes())
	}
}

func TestLogTellsOfAHost(t *testing.T) {
	for _, test := range []struct {
		e      Event
		logged string
	}{
		{Event{Kind: Attached, ID: "a", Attempt: 2, Handle: Handle{PipelineID: "p", TaskID: "t", TraceID: "r"}},
			" level=DEBUG msg=\"run found again\" batch=b item=a attempt=2 task_id=t trace_id=r\n"},
		{Event{Kind: Limited, Limits: LimiterState{AtOnce: 3, Before: 6}}, " level=INFO msg=\"starts limited\" batch=b to=\"3 of 6 at once\"\n"},
		{Event{Kind: Limited}, " level=INFO msg=\"starts limited\" batch=b to=open\n"},
	} {
		var out bytes.Buffer
		log := Log{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		test.e.Batch = "b"
		log.Handle(test.e)
		if !bytes.HasSuffix(out.Bytes(), []byte(test.logged)) {
			t.Errorf("%s", out.Bytes())
		}
	}
}
