package engine

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// test runs the case in a folder of its own.
func (c *nodeCase) test(t *testing.T) {
	dir := t.TempDir()
	c.write(t, dir)
	env := map[string]string{}
	fixed := []string{dir, "DIR"} // what differs from run to run, and what it is called
	model := c.Answers.serve(t, env)
	server := c.Serve.start(t)
	if server != "" {
		fixed = append(fixed, strings.TrimPrefix(server, "http://"), "SERVER")
	}
	written := strings.NewReplacer(fixed...).Replace

	if !c.Now.IsZero() {
		time.Sleep(time.Until(c.Now))
	}
	began := time.Now()
	outputs, err := c.run(t, dir, server, Options{
		Dir: dir, Files: filepath.Join(dir, "files"), AllowPrivateNetwork: server != "",
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	switch {
	case err != nil:
		if got := written(err.Error()); got != c.Error {
			t.Errorf("error: %s\n want: %s", got, c.Error)
		}
		c.checkPlace(t, err, filepath.Join(dir, "batch.yaml"))
	case c.Error != "":
		t.Errorf("there is no error\n want: %s", c.Error)
	default:
		for _, name := range slices.Sorted(maps.Keys(c.Outputs)) {
			node := c.Outputs[name]
			got, want := written(jsonOf(outputs[name])), jsonOf(plain(t, &node))
			if got != want {
				t.Errorf("output %s: %s\n want: %s", name, got, want)
			}
		}
	}
	if waited := time.Since(began); c.Waits != nil && waited != *c.Waits {
		t.Errorf("the run took %v, but must take %v", waited, *c.Waits)
	}
	if c.Saved != nil {
		same(t, "file area", readFolder(t, filepath.Join(dir, "files")), c.Saved)
	}
	model.check(t, c.Asked, written)
}

// write puts down the files that the case needs.
func (c *nodeCase) write(t *testing.T, dir string) {
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range c.Files {
		write(name, text)
	}
	for name, text := range c.Stored {
		write(filepath.Join("files", name), text)
	}
	for name, pipeline := range c.Pipelines {
		write(name, writeYAML(t, &pipeline))
	}
}

func readFolder(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

// run takes the case from its batch file to the outputs that it names.
func (c *nodeCase) run(t *testing.T, dir, server string, o Options) (map[string]any, error) {
	path := filepath.Join(dir, "batch.yaml")
	text := writeYAML(t, c.batchFile(server != ""))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, problems := spec.Load(path, spec.Options{Env: func(string) (string, bool) { return "", false }})
	if errs, _ := problems.Split(); len(errs) > 0 {
		return nil, refusal(errs)
	}
	e := New(o)
	defer e.http.CloseIdleConnections()
	saved, err := e.Save(t.Context(), file.Pipeline, runner.SaveOptions{})
	if problems, ok := errors.AsType[schema.Problems](err); ok {
		return nil, refusal(problems)
	} else if err != nil {
		return nil, err
	}
	h, err := e.Start(t.Context(), saved.PipelineID, c.runInputs(t, server), runner.StartOptions{})
	if err != nil {
		return nil, err
	}
	status := wait(t, e, h)
	for range 20 {
		if status.Suspended == nil {
			break
		}
		status = resume(t, e, h)
	}
	if status.Err != nil || c.typ == "output" {
		return status.Outputs, status.Err
	}
	outputs := map[string]any{}
	for name := range c.Outputs {
		if c.isPath(name) {
			outputs[name] = status.Outputs["path_of_"+name] != nil
		}
	}
	if text, ok := status.Outputs["all"].(string); ok {
		v, err := spec.ParseJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(outputs, v.(map[string]any))
	}
	return outputs, nil
}

// refusal is what is wrong with the batch file.
type refusal schema.Problems

func (r refusal) Error() string {
	var lines []string
	for _, p := range r {
		lines = append(lines, p.Message)
	}
	return strings.Join(lines, "\n")
}

// checkPlace compares the place of the first problem with that of the input.
func (c *nodeCase) checkPlace(t *testing.T, err error, path string) {
	t.Helper()
	if c.At == "" {
		return
	}
	problems, ok := errors.AsType[refusal](err)
	if !ok {
		t.Errorf("the error has no place in the batch file, but must be at %s", c.At)
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file yaml.Node
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var at *yaml.Node
	nodes := valueOf(valueOf(file.Content[0], "pipeline"), "nodes")
	if c.At == "n" {
		at = nodes.Content[slices.Index(nodes.Content, valueOf(nodes, "n"))-1] // the key
	} else {
		at = valueOf(valueOf(valueOf(nodes, "n"), "inputs"), c.At)
	}
	if at == nil {
		t.Errorf("there is no input %s to be the error's place", c.At)
	} else if got := problems[0]; got.Line != at.Line || got.Col != at.Column {
		t.Errorf("the error is at %d:%d, but %s at %d:%d", got.Line, got.Col, c.At, at.Line, at.Column)
	}
}

// valueOf gives a member of a YAML map, or nil.
func valueOf(m *yaml.Node, key string) *yaml.Node {
	if m != nil {
		for i := 0; i+1 < len(m.Content); i += 2 {
			if m.Content[i].Value == key {
				return m.Content[i+1]
			}
		}
	}
	return nil
}

// runInputs are what the run is started with.
func (c *nodeCase) runInputs(t *testing.T, server string) runner.Inputs {
	given := map[string]any{}
	for name, node := range c.Given {
		if c.typ == "input" {
			if name == "in" {
				name = "n"
			}
		} else if !slices.Contains(members, name) {
			t.Errorf("given: member %s is none of %s", name, strings.Join(members, ", "))
		}
		given[name] = plain(t, &node)
	}
	if c.typ == "input" {
		return given
	}
	if server != "" {
		given["server"] = server
	}
	return runner.Inputs{"given": jsonOf(given)}
}

func (c *nodeCase) isPath(output string) bool {
	return output == "complete" || strings.HasPrefix(output, "path_") && (c.typ == "condition" || c.typ == "ai_routing")
}
