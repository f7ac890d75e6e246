package cli

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"nightshift/schema"
	"nightshift/spec"
)

// streams are where a command reads and writes.
type streams struct {
	in  io.Reader
	out io.Writer
	err *console
}

// console is standard error: everything that is said to people goes through it.
// From the moment a batch file is read, it hides the file's secrets.
type console struct {
	w      io.Writer
	redact *spec.Redactor
}

func (c *console) Write(p []byte) (int, error) { return c.redact.Writer(c.w).Write(p) }

// warn says what is no reason to stop.
func (c *console) warn(problems schema.Problems) { fmt.Fprintln(c, problems.Error()) }

// isTerminal tells whether somebody is watching.
func (c *console) isTerminal() bool {
	return isTerminal(c.w)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
