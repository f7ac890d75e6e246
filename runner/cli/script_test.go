package cli

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"nightshift/schema"
	"nightshift/spec"
)

// TestMain lets scripts, and tests that start this binary with asCommand set,
// run the real command as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(Main())
	}
	testscript.Main(m, map[string]func(){"nightshift": func() { os.Exit(Main()) }})
}

const asCommand = "NIGHTSHIFT_TEST_AS_COMMAND"

// TestScripts runs testdata/script: what the commands print, write, and exit
// with, as a user sees it. Beside the usual commands, scripts have
//
//	exits CODE COMMAND...      the command must exit with exactly that code
//	results FILE N [STATUS]    N lines, all of the schema's form, with that status
//	example FOLDER             copies a folder of the examples to the script's own
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			env.Setenv("EXAMPLES", filepath.Join(root, "examples"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"results": checkResults,
			"exits":   exits,
			"example": copyExample,
		},
	})
}

// exits runs a command in the foreground and holds its exit code against the
// one that is wanted; testscript by itself knows success and failure only.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		code = -1
		if exit, ok := err.(interface{ ExitCode() int }); ok {
			code = exit.ExitCode()
		}
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, not %s", code, args[0])
	}
}

func checkResults(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: results FILE N [STATUS]")
	}
	text := []byte(ts.ReadFile(args[0]))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		ts.Fatalf("%s does not end with a whole line", args[0])
	}
	validator := schema.ResultValidator()
	ids := map[string]bool{}
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	for i, line := range lines {
		v, err := spec.ParseJSON(line)
		if err == nil {
			err = validator.Validate(v)
		}
		if err != nil {
			ts.Fatalf("%s:%d: %v", args[0], i+1, err)
		}
		result := v.(map[string]any)
		if id := result["id"].(string); ids[id] {
			ts.Fatalf("%s:%d: item %s has two lines", args[0], i+1, id)
		} else {
			ids[id] = true
		}
		if len(args) > 2 && result["status"] != args[2] {
			ts.Fatalf("%s:%d: status is %s, not %s", args[0], i+1, result["status"], args[2])
		}
	}
	if strconv.Itoa(len(lines)) != args[1] {
		ts.Fatalf("%s has %d lines, not %s", args[0], len(lines), args[1])
	}
}

// copyExample puts a folder of the examples into the script's own, so that its
// results do not land in the repository.
func copyExample(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: example FOLDER")
	}
	ts.Check(copyWithoutResults(ts.MkAbs(args[0]), filepath.Join(ts.Getenv("EXAMPLES"), args[0])))
}

// copyWithoutResults copies a folder of the examples; who has tried them has
// results in it.
func copyWithoutResults(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "results" {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return err
	})
}
