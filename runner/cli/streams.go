package cli

import (
	"io"
	"os"

	"golang.org/x/term"

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

// isTerminal tells whether somebody is watching.
func (c *console) isTerminal() bool {
	f, ok := c.w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
