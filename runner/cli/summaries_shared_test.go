package cli

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestReplaceShared: what a kill left is removed, and others who write the same file, and
// remove what we are writing, keep nobody from it.
func TestReplaceShared(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "summary.json")
	for _, name := range []string{"summary.json.new-" + strings.Repeat("A", 26), "summary.json.new-mine", "other.json.new-" + strings.Repeat("A", 26)} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 10 {
				if err := replaceShared(path, []byte("{}\n")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := replaceShared(path, []byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "other.json.new-"+strings.Repeat("A", 26)+" summary.json summary.json.new-mine" {
		t.Errorf("%s", got)
	}
}
