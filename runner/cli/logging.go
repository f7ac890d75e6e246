package cli

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"nightshift/schema"
)

// logOptions are the flags of commands that log what they do.
type logOptions struct{ logFormat, logLevel string }

func (o *logOptions) logFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.logFormat, "log-format", "", "log events as `text` or json to standard error, instead of telling them")
	cmd.Flags().StringVar(&o.logLevel, "log-level", "info", "log from this `level` on: debug, info, warn, error")
}

func (o *logOptions) validateLog() error {
	var level slog.Level
	switch {
	case o.logFormat != "" && o.logFormat != "text" && o.logFormat != "json":
		return fmt.Errorf("--log-format is text or json, not %q", o.logFormat)
	case level.UnmarshalText([]byte(o.logLevel)) != nil:
		return fmt.Errorf("--log-level is debug, info, warn or error, not %q", o.logLevel)
	}
	return nil
}

// logger writes records to standard error, as --log-format asks; nil without it.
func (o *logOptions) logger(std streams) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.logLevel)) // validateLog has checked it
	options := &slog.HandlerOptions{Level: level}
	switch o.logFormat {
	case "json":
		return slog.New(slog.NewJSONHandler(std.err, options))
	case "text":
		return slog.New(slog.NewTextHandler(std.err, options))
	}
	return nil
}

// say says what must be said, in the form of all that is said.
func (o *logOptions) say(std streams, message string) {
	if logger := o.logger(std); logger != nil {
		logger.Warn(message)
		return
	}
	fmt.Fprintln(std.err, message)
}

// tell says what is good to know, and no trouble.
func (o *logOptions) tell(std streams, message string) {
	if logger := o.logger(std); logger != nil {
		logger.Info(message)
		return
	}
	fmt.Fprintln(std.err, message)
}

// warnings says those of a batch file.
func (o *logOptions) warnings(std streams) func(schema.Problems) {
	return func(problems schema.Problems) { o.say(std, problems.Error()) }
}
