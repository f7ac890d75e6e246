package spec

import (
	"regexp"
	"sync"
)

// Pattern gives a regular expression that is compiled when it is first needed: a command
// that prints a line and ends is not to wait for all that others match.
func Pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
