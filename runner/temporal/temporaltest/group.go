//go:build unix

package temporaltest

import "syscall"

// ownGroup lets a server be ended together with those that it starts.
var ownGroup = syscall.SysProcAttr{Setpgid: true}
