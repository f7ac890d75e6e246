package script

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// limitData has the system refuse memory to this process beyond what it has
// now and so many bytes more: a single demand can be too large for it to be
// noticed in time otherwise.
func limitData(more int64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return
	}
	_, line, _ := bytes.Cut(text, []byte("\nVmData:"))
	var has uint64
	if _, err := fmt.Sscanf(string(line), "%d kB", &has); err != nil {
		return
	}
	most := has<<10 + uint64(more)
	_ = syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: most, Max: most})
}
