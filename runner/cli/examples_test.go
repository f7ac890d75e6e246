package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"gopkg.in/yaml.v3"

	"nightshift/runner/engine"
	"nightshift/schema"
)

// TestExamplesShowEveryType wants every node type that the engine runs in some
// file of the examples, and none that it does not run.
func TestExamplesShowEveryType(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	err := filepath.WalkDir("../../examples", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		type nodes map[string]struct{ Type string }
		var file struct {
			Nodes    nodes // of a pipeline's own file
			Pipeline struct{ Nodes nodes }
		}
		err = yaml.Unmarshal(text, &file)
		if _, rows := errors.AsType[*yaml.TypeError](err); rows {
			return nil // a list, not a pipeline
		} else if err != nil {
			return err
		}
		for _, in := range []nodes{file.Nodes, file.Pipeline.Nodes} {
			for name, node := range in {
				if shown[node.Type] = true; !engine.Runs(node.Type) {
					t.Errorf("%s: node %s: nothing runs the type %s here", path, name, node.Type)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range schema.NodeTypes() {
		if engine.Runs(typ) && !shown[typ] {
			t.Errorf("no example has a node of the type %s", typ)
		}
	}
}
