package runner

import (
	"context"
	"log/slog"
)

// Log writes the events of a batch as log records, with the ids by which a run
// is known to its backend.
type Log struct{ Logger *slog.Logger }

// Handle writes one record: starts and results at debug level, as there may be
// millions, but what did not succeed as a warning.
func (l Log) Handle(e Event) {
	level := levelOf(e)
	if !l.Logger.Enabled(context.Background(), level) {
		return
	}
	message, attrs := describeEvent(e)
	l.Logger.LogAttrs(context.Background(), level, message, append([]slog.Attr{slog.String("batch", e.Batch)}, attrs...)...)
}

func levelOf(e Event) slog.Level {
	switch {
	case e.Kind == Stopped, e.Kind == Finished && e.Result.Error != nil:
		return slog.LevelWarn
	case e.Kind == Started, e.Kind == Attached, e.Kind == Resumed, e.Kind == Finished, e.Held: // there may be millions
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func describeEvent(e Event) (string, []slog.Attr) {
	run := func() []slog.Attr {
		return []slog.Attr{slog.String("item", e.ID), slog.Int("attempt", e.Attempt),
			slog.String("task_id", e.Handle.TaskID), slog.String("trace_id", e.Handle.TraceID)}
	}
	switch e.Kind {
	case Planned:
		return "batch begins", []slog.Attr{slog.Int("items", e.Plan.Total), slog.Int("concurrency", e.Plan.Concurrency),
			slog.String("pipeline_id", e.Plan.PipelineID), slog.String("generation", e.Plan.Generation)}
	case Started:
		return "run started", run()
	case Attached:
		return "run found again", run()
	case Parked:
		return "item parked", append(run(), slog.Time("until", e.Until), slog.String("reason", e.Reason))
	case Resumed:
		return "run resumed", run()
	case Limited:
		return "starts limited", []slog.Attr{slog.String("to", e.Limits.String())}
	case Finished:
		r := e.Result
		attrs := []slog.Attr{slog.String("item", r.ID), slog.String("status", string(r.Status)), slog.Int("attempts", r.Attempts),
			slog.Int64("duration_ms", r.Duration.Milliseconds()), slog.String("task_id", r.Handle.TaskID), slog.String("trace_id", r.Handle.TraceID)}
		if r.Error != nil {
			return "item did not succeed", append(attrs, slog.String("class", r.Error.Class), slog.String("error", r.Error.Message))
		}
		return "item ended", attrs
	case Stopped:
		return "no more runs are started", []slog.Attr{slog.String("reason", e.Reason)}
	}
	attrs := make([]slog.Attr, 0, len(e.Outcome.Counts))
	for _, state := range []State{Succeeded, Failed, Cancelled, TimedOut} {
		attrs = append(attrs, slog.Int(string(state), e.Outcome.Counts[state]))
	}
	return "batch ended", attrs
}
