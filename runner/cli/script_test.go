package cli

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"nightshift/runner/engine/script"
	"nightshift/schema"
	"nightshift/spec"
)

// TestMain lets scripts, and tests that start this binary with asCommand set,
// run the real command as a process of its own.
func TestMain(m *testing.M) {
	script.Worker()
	if os.Getenv(asCommand) != "" {
		os.Exit(Main())
	}
	os.Setenv("GORACE", noExitSleep+" "+os.Getenv("GORACE"))
	testscript.Main(m, map[string]func(){"nightshift": func() { os.Exit(Main()) }})
}

const asCommand = "NIGHTSHIFT_TEST_AS_COMMAND"

// noExitSleep keeps processes under the race detector from waiting a second
// before they end.
const noExitSleep = "atexit_sleep_ms=0"

// TestScripts runs testdata/script: what the commands print, write, and exit
// with, as a user sees it. Beside the usual commands, scripts have
//
//	exits CODE COMMAND...      the command must exit with exactly that code
//	results FILE N [STATUS]    N lines, all of the schema's form, with that status
//	example NAME               copies a folder or file of the examples to the script's own
//	pages FOLDER               starts a web server of a folder; $PAGES is its address
//	model                      starts a server that answers like a provider; $MODEL is its address
//	asked N                    it was asked N times since this was last looked at
//	platform [guide] [max=N]   starts a hosted platform, with the words and keys of the guide, or a
//	                           limit of runs; inputs say what becomes of runs, see scriptedPlatform
//	fail OP N HOW              its next N calls of a kind (create, fetch, save, list, delete, start, run,
//	                           stream, status, terminate) fail: with a code, cut, html or hang; -1 is all
//	called OP N                there were N such calls since this was last looked at
//	started N [STATUS]         it has N runs, with that status
//	put FILE                   it keeps the pipeline of a JSON file, made elsewhere; $PIPELINE is its id
//	get NAME FILE              writes the newest pipeline of that name to a file; $PIPELINE is its id
//	pipelines NAME N           it has N pipelines of that name
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", noExitSleep)
			env.Setenv("ROOT", root)
			env.Setenv("EXAMPLES", filepath.Join(root, "examples"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"results": checkResults,
			"exits":   exits,
			"example": copyExample,
			"pages":   startPages,
			"model":   startModel,
			"asked":   asked,

			"platform":  startPlatform,
			"fail":      failCalls,
			"called":    called,
			"started":   started,
			"put":       putPipeline,
			"get":       getPipeline,
			"pipelines": countPipelines,
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
	from := filepath.Join(ts.Getenv("EXAMPLES"), args[0])
	if filepath.Ext(from) == ".yaml" {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(ts.ReadFile(from)), 0o600))
		return
	}
	ts.Check(copyWithoutResults(ts.MkAbs(args[0]), from))
}

func startPages(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pages FOLDER")
	}
	server := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[0]))))
	ts.Defer(server.Close)
	ts.Setenv("PAGES", server.URL)
}

// models are the servers of scripts, by the script's folder.
var models sync.Map

func startModel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: model")
	}
	s := &modelServer{again: "0.05", refuse: byWord, asked: map[string]int{}}
	s.Server = httptest.NewServer(s)
	ts.Defer(s.Close)
	models.Store(ts.Getenv("WORK"), s)
	ts.Setenv("MODEL", s.URL)
	ts.Setenv("OPENAI_BASE_URL", s.URL+"/v1")
	ts.Setenv("OLLAMA_HOST", s.URL)
}

func asked(ts *testscript.TestScript, neg bool, args []string) {
	s, ok := models.Load(ts.Getenv("WORK"))
	if neg || len(args) != 1 || !ok {
		ts.Fatalf("usage: asked N, after model")
	}
	if n := s.(*modelServer).takeRequests(); strconv.Itoa(n) != args[0] {
		ts.Fatalf("asked %d times, not %s", n, args[0])
	}
}

// copyWithoutResults copies a folder of the examples; who has tried them has
// results and stored files in it.
func copyWithoutResults(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == "results" || entry.Name() == "files") {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return err
	})
}
