//go:build integration || bench

package cli

import "syscall"

// Where the test is killed and can end nothing, the kernel asks the servers to
// end; Ollama then ends its runners.
func init() { ownGroup.Pdeathsig = syscall.SIGTERM }
