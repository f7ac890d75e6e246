package engine

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// panicError is a bug, of this program's or of a library's, that a node came upon.
// It is an end of its run, and of no other.
type panicError struct {
	value any
	where string
}

func (e *panicError) Error() string {
	return fmt.Sprintf("panicked: %v (in %s); please report it", e.value, e.where)
}

// Class is the class of the error in results.
func (e *panicError) Class() string { return "panic" }

// protect does a part of a node's work, and makes a panic in it its error.
func (c *call) protect(n *node, work func(c *call) error) (err error) {
	defer c.run.recovered(n, &err)
	return work(c)
}

// recovered is to be deferred. It ends a panic, which err then is, without its
// stack: that goes to the log. n is nil for a panic beside all nodes.
func (r *run) recovered(n *node, err *error) {
	value := recover()
	if value == nil {
		return
	}
	bug := &panicError{value, panicked()}
	*err = bug
	where := "the run"
	if n != nil {
		where = fmt.Sprintf("node %s (%s)", n.name, n.typ)
	}
	r.log(fmt.Sprintf("%s %v\n%s", where, bug, debug.Stack()))
}

// panicked names the function that panicked: the first on the stack that is
// not of the runtime.
func panicked() string {
	callers := make([]uintptr, 16)
	frames := runtime.CallersFrames(callers[:runtime.Callers(4, callers)]) // above: Callers, panicked, the deferred function, panic
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") || !more {
			return fmt.Sprintf("%s:%d", frame.Function, frame.Line)
		}
	}
}
