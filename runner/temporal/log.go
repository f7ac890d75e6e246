package temporal

import (
	"context"
	"log/slog"
	"slices"

	"go.temporal.io/sdk/log"
)

// told are the attributes of the SDK's messages that are passed on. Others may hold
// what runs were started with.
var told = []string{
	"Namespace", "TaskQueue", "WorkerID", "WorkflowType", "WorkflowID", "RunID", "ActivityID", "ActivityType", "Attempt",
	"Error", "PanicError", "WorkerType",
}

// newLogger passes the SDK's warnings and errors on to a logger; nil: to nobody.
func newLogger(to *slog.Logger) log.Logger {
	if to == nil {
		return log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	}
	return log.NewStructuredLogger(slog.New(grave{to.Handler()}))
}

// grave is a handler that leaves out what is no warning.
type grave struct{ slog.Handler }

func (h grave) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h grave) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, "temporal: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if slices.Contains(told, a.Key) {
			clean.AddAttrs(a)
		}
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

func (h grave) WithAttrs(attrs []slog.Attr) slog.Handler {
	attrs = slices.DeleteFunc(slices.Clone(attrs), func(a slog.Attr) bool { return !slices.Contains(told, a.Key) })
	return grave{h.Handler.WithAttrs(attrs)}
}

func (h grave) WithGroup(name string) slog.Handler { return grave{h.Handler.WithGroup(name)} }
