package spec

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPipesAreNoPipelineFiles: nobody writes into them, so they would be waited for.
func TestPipesAreNoPipelineFiles(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Skip(err)
	}
	write(t, filepath.Join(dir, "a.yaml"), subText("a", "pipe"))
	for _, text := range []string{
		batchText("pipe"), batchText("a.yaml"),
		"version: 1\npipeline: {name: p, file: pipe}\nbatches:\n  b: {inputs: [{topic: space}]}\n",
		strings.Replace(batchText(), "    out:", "    code: {type: transformation, inputs: {transformation: {file: pipe}}}\n    out:", 1),
	} {
		mustContain(t, errorsOf(t, dir, text), "pipe: it is no file")
	}
}
