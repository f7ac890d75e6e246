//go:build integration

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIntegrationTemporalReadme runs the commands that the README has for a Temporal
// cluster, on its batch files.
func TestIntegrationTemporalReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, 0)
	ran := 0
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		kind, body := block[1], block[2]
		if name := heading.FindStringSubmatch(body); kind == "yaml" {
			if err := os.WriteFile(filepath.Join(f.dir, name[1]), []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if kind != "bash" {
			continue
		}
		for line := range strings.Lines(body) {
			switch command := strings.Fields(line); {
			case command[0] == "temporal": // it runs
			case command[1] == "worker":
				f.worker()
			default:
				f.command(command[1:]...).ends(exitOK)
				ran++
			}
		}
	}
	if ran < 5 {
		t.Errorf("the README has %d commands for Temporal", ran)
	}
	f.idle()
}
