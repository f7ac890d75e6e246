package vectorshift_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/spec"
)

const aboutFile = `name: about
nodes:
  topic: {type: input, inputs: {input_type: string}}
  text: {type: text, inputs: {text: "about {{ topic.text }}"}}
  out: {type: output, inputs: {output_type: string, value: "{{ text.text }}"}}
`

// outerFile runs the pipeline of aboutFile.
const outerFile = `name: outer
nodes:
  topic: {type: input, inputs: {input_type: string}}
  about: {type: pipeline, inputs: {pipeline: {file: about.yaml}, topic: "{{ topic.text }}"}}
  out: {type: output, inputs: {output_type: string, value: "{{ about.out }}"}}
`

// declaredWith is declared, with files beside the batch file.
func declaredWith(t testing.TB, nodes string, files map[string]string) *spec.Pipeline {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := "version: 1\nrun: {backend: vectorshift}\nbatches: {b: {inputs: [{}]}}\npipeline:\n  name: p\n  nodes:\n" + indent(nodes)
	f, problems := spec.Parse(filepath.Join(dir, "batch.yaml"), []byte(text), spec.Options{})
	if wrong, _ := problems.Split(); len(wrong) > 0 {
		t.Fatalf("%v\n%s", wrong, text)
	}
	return f.Pipeline
}

// runs gives the reference to a pipeline that a node of a saved one holds.
func runs(t testing.TB, s *vectorshifttest.Server, id, node string) any {
	t.Helper()
	for _, n := range s.Object(id)["nodes"].(map[string]any) {
		if member(t, n, "name") == node {
			return member(t, n, "inputs.pipeline")
		}
	}
	t.Fatalf("pipeline %s has no node %s", id, node)
	return nil
}

func reference(id string) any {
	return map[string]any{"object_id": id, "object_type": json.Number("0")}
}

func TestSubPipelinesOfFilesAreSavedFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		nodes := `a: {type: pipeline, inputs: {pipeline: {file: outer.yaml}, topic: space}}
b: {type: pipeline, inputs: {pipeline: {file: about.yaml}, topic: space}}
out: {type: output, inputs: {output_type: string, value: "{{ a.out }}{{ b.out }}"}}`
		files := map[string]string{"about.yaml": aboutFile, "outer.yaml": outerFile}
		sp := declaredWith(t, nodes, files)

		look, action, changes, err := c.SavePipeline(t.Context(), sp, vectorshift.SaveOptions{}, true)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "id", look.ID, "")
		wantSame(t, "action", action, runner.Created)
		wantSame(t, "changes", changes, []string{"pipeline about is created", "pipeline outer is created"})
		wantSame(t, "writes of a look", len(s.Calls(vectorshifttest.Create, vectorshifttest.Save)), 0)

		p := wantSaved(t, s, c, sp, runner.Created, "pipeline about is created", "pipeline outer is created")
		about, outer := s.Pipelines("about")[0], s.Pipelines("outer")[0]
		wantSame(t, "a runs", runs(t, s, p.ID, "a"), reference(outer))
		wantSame(t, "b runs", runs(t, s, p.ID, "b"), reference(about))
		wantSame(t, "about runs", runs(t, s, outer, "about"), reference(about))

		files["about.yaml"] = strings.Replace(aboutFile, "about {{", "on {{", 1)
		again := wantSaved(t, s, c, declaredWith(t, nodes, files), runner.Unchanged, "pipeline about: node text: text: about {{ topic.text }} -> on {{ topic.text }}")
		wantSame(t, "id", again.ID, p.ID)

		files["outer.yaml"] = strings.Replace(outerFile, "{file: about.yaml}", "{file: about.yaml, name: other}", 1)
		_, action, changes = save(t, c, declaredWith(t, nodes, files))
		wantSame(t, "action", action, runner.Unchanged)
		if len(changes) != 2 || changes[0] != "pipeline other is created" || !strings.HasPrefix(changes[1], "pipeline outer: node about: pipeline: ") {
			t.Errorf("changes: %q", changes)
		}
		wantSame(t, "about runs", runs(t, s, outer, "about"), reference(s.Pipelines("other")[0]))
	})
}

func TestSubPipelinesByName(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		missing := declared(t, `a: {type: pipeline, inputs: {pipeline: {name: about}, topic: space}}
b: {type: pipeline, inputs: {pipeline: {id: "66f1"}}}`)
		_, _, _, err := c.SavePipeline(t.Context(), missing, vectorshift.SaveOptions{}, false)
		if err == nil || err.Error() != "node a runs the pipeline about, and there is none of that name; save it first, or name its file: {name: about, file: ...}" {
			t.Error(err)
		}
		wantSame(t, "writes", len(s.Calls(vectorshifttest.Create, vectorshifttest.Save)), 0)

		about, _, _ := save(t, c, &spec.Pipeline{Name: "about", Nodes: declared(t, "x: {type: text, inputs: {text: x}}").Nodes})
		p := wantSaved(t, s, c, missing, runner.Created)
		wantSame(t, "a runs", runs(t, s, p.ID, "a"), reference(about.ID))
		wantSame(t, "b runs", runs(t, s, p.ID, "b"), reference("66f1"))
	})
}

// TestPipelineThatRunsItself: it has its id before it is saved.
func TestPipelineThatRunsItself(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		self := strings.Replace(aboutFile, "  out:", "  again: {type: pipeline, inputs: {pipeline: {name: p}, topic: x}}\n  out:", 1)
		p := wantSaved(t, s, c, declaredWith(t, `a: {type: pipeline, inputs: {pipeline: {file: about.yaml}, topic: x}}
b: {type: pipeline, inputs: {pipeline: p, topic: x}}`, map[string]string{"about.yaml": self}), runner.Created, "pipeline about is created")
		wantSame(t, "about runs", runs(t, s, s.Pipelines("about")[0], "again"), reference(p.ID))
		wantSame(t, "p runs", runs(t, s, p.ID, "b"), reference(p.ID))
	})
}

// TestBranchOfSubPipeline: what the platform knows of it beside its id is kept.
func TestBranchOfSubPipeline(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		id := s.Put(fetched(t, `"a": {"id": "a", "name": "a", "type": "pipeline", "task_name": "pipeline", "inputs": {"pipeline": {"object_id": "66f1", "object_type": 0, "branch_id": "b1"}, "topic": "x"}}`))
		same := `a: {type: pipeline, inputs: {pipeline: {id: "66f1"}, topic: x}}`
		wantSaved(t, s, c, declared(t, same), runner.Unchanged)
		wantSaved(t, s, c, declared(t, strings.Replace(same, "topic: x", "topic: y", 1)), runner.Updated, "node a: topic: x -> y")
		kept := map[string]any{"object_id": "66f1", "object_type": json.Number("0"), "branch_id": "b1"}
		wantSame(t, "a runs", runs(t, s, id, "a"), any(kept))
		wantSaved(t, s, c, declared(t, `a: {type: pipeline, inputs: {pipeline: {object_id: "66f1", object_type: 0, branch_id: b2}, topic: y}}`), runner.Updated,
			`node a: pipeline: {"branch_id":"b1","object_id":"66f1","object_type":0} -> {"branch_id":"b2","object_id":"66f1","object_type":0}`)
	})
}

// TestPulledSubPipeline: what pull writes of it is loaded and changes nothing.
func TestPulledSubPipeline(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		sp := declaredWith(t, `a: {type: pipeline, inputs: {pipeline: {file: about.yaml}, topic: space}}
out: {type: output, inputs: {output_type: string, value: "{{ a.out }}"}}`, map[string]string{"about.yaml": aboutFile})
		p := wantSaved(t, s, c, sp, runner.Created, "pipeline about is created")
		fetched, err := c.Fetch(t.Context(), vectorshift.Which{ID: p.ID})
		if err != nil {
			t.Fatal(err)
		}
		pulled, notes, err := fetched.Spec()
		if err != nil || notes != nil {
			t.Fatal(notes, err)
		}
		var text bytes.Buffer
		if err := spec.Write(&text, pulled, nil); err != nil {
			t.Fatal(err)
		}
		f, problems := spec.Parse("batch.yaml", text.Bytes(), spec.Options{})
		if len(problems) > 0 {
			t.Fatalf("%v\n%s", problems, text.Bytes())
		}
		wantSaved(t, s, c, f.Pipeline, runner.Unchanged)
	})
}

func TestTwoPipelinesOfOneName(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		sp := declaredWith(t, `a: {type: pipeline, inputs: {pipeline: {file: about.yaml}, topic: x}}
b: {type: pipeline, inputs: {pipeline: {file: outer.yaml, name: more}, topic: x}}`, map[string]string{"about.yaml": aboutFile, "outer.yaml": outerFile})
		sp.Node("b").Sub.Name = "about" // a batch file in which they are is refused
		_, _, _, err := c.SavePipeline(t.Context(), sp, vectorshift.SaveOptions{}, false)
		if err == nil || err.Error() != "two pipelines would be saved as about; give one of them another name" {
			t.Error(err)
		}
		wantSame(t, "calls", len(s.Calls()), 0)
	})
}

// TestSubPipelinesArePublished when the pipeline is that runs them.
func TestSubPipelinesArePublished(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		sp := declaredWith(t, `a: {type: pipeline, inputs: {pipeline: {file: about.yaml}, topic: x}}`, map[string]string{"about.yaml": aboutFile})
		for _, test := range []struct {
			options  vectorshift.SaveOptions
			action   runner.SaveAction
			changes  []string
			notes    []string
			deployed []any
		}{
			{vectorshift.SaveOptions{NoDeploy: true}, runner.Created, []string{"pipeline about is created"}, []string{
				"pipeline about: what was saved is not published: runs use the version before; save --deploy publishes it",
				"what was saved is not published: runs use the version before; save --deploy publishes it",
			}, []any{false, false}},
			{vectorshift.SaveOptions{}, runner.Unchanged, nil, nil, nil},
			{vectorshift.SaveOptions{Deploy: true}, runner.Updated, []string{"pipeline about is published"}, nil, []any{true, true}},
			{vectorshift.SaveOptions{Bump: "minor"}, runner.Updated, nil, nil, []any{true}},
		} {
			before := len(s.Calls(vectorshifttest.Save))
			p, action, changes, err := c.SavePipeline(t.Context(), sp, test.options, false)
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, "action", action, test.action)
			wantSame(t, "changes", changes, test.changes)
			wantSame(t, "notes", p.Notes, test.notes)
			sub := vectorshift.Sub{ID: s.Pipelines("about")[0], Name: "about", Action: test.action}
			if len(test.deployed) == 1 {
				sub.Action = runner.Unchanged
			}
			wantSame(t, "subs", p.Subs, []vectorshift.Sub{sub})
			var deployed []any
			for _, call := range s.Calls(vectorshifttest.Save)[before:] {
				deployed = append(deployed, call.Body["deploy"])
			}
			wantSame(t, "deployed", deployed, test.deployed)
		}
	})
}

// TestNotesOnSubPipelines say which one they are about, and so do errors.
func TestNotesOnSubPipelines(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		ask := aboutFile + "  ask: {type: llm, inputs: {provider: openai, model: m, prompt: x, api_key: sk-0123456789abcdef}}\n"
		sp := declaredWith(t, `a: {type: pipeline, inputs: {pipeline: {file: about.yaml}, topic: x}}`, map[string]string{"about.yaml": ask})
		p, _, _ := save(t, c, sp)
		wantSame(t, "notes", p.Notes, []string{"pipeline about: node ask: its api_key is not sent to the platform; write use_personal_api_key: true to send it"})
		s.Fail(vectorshifttest.Save, 1, vectorshifttest.Failure{Status: 403})
		sp = declaredWith(t, `a: {type: pipeline, inputs: {pipeline: {file: about.yaml}, topic: x}}`, map[string]string{"about.yaml": strings.Replace(ask, "about {{", "on {{", 1)})
		_, _, _, err := c.SavePipeline(t.Context(), sp, vectorshift.SaveOptions{}, false)
		if err == nil || !strings.HasPrefix(err.Error(), "pipeline about, which it runs: ") {
			t.Error(err)
		}
	})
}

// TestLanguageOfCode is a number on the platform, whatever word a file has for it.
func TestLanguageOfCode(t *testing.T) {
	for word, number := range map[string]json.Number{"javascript": "1", "JS": "1", "py": "0", "1": "1", `"{{ lang.text }}"`: ""} {
		inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
			code := `lang: {type: text, inputs: {text: "1"}}
a: {type: code_execution, inputs: {code: "x = 1", language: ` + word + `, output_schema: [{name: x, type: int32}]}}`
			p := wantSaved(t, s, c, declared(t, code), runner.Created)
			for _, n := range s.Object(p.ID)["nodes"].(map[string]any) {
				if member(t, n, "name") == "a" && number != "" {
					wantSame(t, word, member(t, n, "inputs.language"), any(number))
				}
			}
		})
	}
}
