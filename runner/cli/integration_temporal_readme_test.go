//go:build integration

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestIntegrationTemporalReadme runs the commands that the README has for a Temporal
// cluster, on its first batch file.
func TestIntegrationTemporalReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, 0)
	ran := 0
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		kind, body := block[1], block[2]
		if name := heading.FindStringSubmatch(body); kind == "yaml" && name[1] == "facts.yaml" {
			if err := os.WriteFile(filepath.Join(f.dir, "facts.yaml"), []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if kind != "bash" {
			continue
		}
		var workers []*fleetWorker
		for line := range strings.Lines(body) {
			command := strings.Fields(line)
			switch {
			case command[0] == "temporal": // it runs
			case command[1] == "worker", command[1] == "attach":
				workers = append(workers, f.worker()) // not before it: what is paused is not to be over
				if command[1] == "worker" {
					continue
				}
				fallthrough
			default:
				f.command(command[1:]...).ends(exitOK)
				ran++
			}
		}
		for _, w := range workers {
			if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			w.ends(exitOK)
		}
	}
	if ran < 5 {
		t.Errorf("the README has %d commands for Temporal", ran)
	}
	f.idle()
}
