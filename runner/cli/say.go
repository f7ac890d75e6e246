package cli

import (
	"fmt"

	"nightshift/runner"
)

// notice says what a user who watches should know, and one who does not need not.
func (o *runOptions) notice(std streams, message string) {
	if !o.quiet {
		o.say(std, message)
	}
}

// belowBar puts a message on a line of its own where a progress bar, and a ^C,
// may stand.
func (o *runOptions) belowBar(std streams, message string) string {
	if std.err.isTerminal() && o.logFormat == "" {
		return "\n" + message
	}
	return message
}

// sinks are what the user sees while a batch runs.
func (o *runOptions) sinks(j *job, std streams) []runner.Sink {
	logger := o.logger(std)
	switch {
	case logger != nil:
		return []runner.Sink{runner.Log{Logger: logger}, lines(func(line string) { logger.Info(line) })}
	case o.quiet:
		return nil
	case std.err.isTerminal() && (j.path != "-" || !isTerminal(std.out)): // results and a bar do not share a screen
		return []runner.Sink{&runner.Bar{Out: std.err}}
	}
	return []runner.Sink{lines(func(line string) { fmt.Fprintln(std.err, line) })}
}

func lines(say func(string)) runner.Sink { return &runner.Lines{Say: say, Every: progressEvery} }
