package vectorshift

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe that nobody writes to is not waited for.
func TestPipesAreNotRead(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	path := filepath.Join(home, ".vectorshift", "config.toml")
	os.Mkdir(filepath.Dir(path), 0o700)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Options{Env: environment("HOME", home)})
	want(t, "as configuration", err.Error(), "cannot read the key of the platform in "+path+": it is no file; mend it, or set VECTORSHIFT_API_KEY")
	_, err = encodeInputs(obj{"doc": obj{"file": path}}, map[string]string{"doc": "file"}, "")
	want(t, "as input", err.Error(), "input doc: cannot read the file "+path+": it is no file")
}
