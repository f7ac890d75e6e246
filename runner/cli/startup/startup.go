// Package startup keeps the garbage collector from running while the process begins.
//
// The libraries of the backends build large tables when they are initialised, before
// main is called. In the small heap of a process that was just born these set off
// collections that find next to nothing to free, which cost a command that prints a line
// and ends as much time as all else that it does. Packages are initialised in the order
// of their paths, as far as their imports let them: this one comes before most of those.
package startup

import "runtime/debug"

// before is what the collector is set to otherwise: by GOGC, or by default.
var before = debug.SetGCPercent(400)

// Over lets the collector run as it is used to, which may make it begin at once. Commands
// that go on for a while call it.
func Over() { debug.SetGCPercent(before) }
