package temporaltest

import "syscall"

// Where the test is killed and can end nothing, the kernel asks the server to end.
func init() { ownGroup.Pdeathsig = syscall.SIGTERM }
