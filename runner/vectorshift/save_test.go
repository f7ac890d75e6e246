package vectorshift_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/spec"
)

func TestCreateThenUpdateThenNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p := wantSaved(t, s, c, declared(t, guideNodes), runner.Created)
		wantSame(t, "pipelines", s.Pipelines("p"), []string{p.ID})
		changed := strings.Replace(guideNodes, "gpt-5.1", "gpt-5", 1) + "\nextra: {type: text, inputs: {text: hi}}"
		changed = strings.Replace(changed, "output_0: {", "result: {", 1)
		again := wantSaved(t, s, c, declared(t, changed), runner.Updated,
			"node llm: model: gpt-5.1 -> gpt-5", "node result (output) is added", "node extra (text) is added", "node output_0 (output) is removed")
		wantSame(t, "id", again.ID, p.ID)
		wantSame(t, "pipelines", s.Pipelines("p"), []string{p.ID})
		wantSame(t, "llm id", again.Node("llm").ID, p.Node("llm").ID)
	})
}

func TestLookOnlyWritesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		look := func(nodes string, wanted runner.SaveAction, lines ...string) *vectorshift.Pipeline {
			t.Helper()
			p, action, changes, err := c.SavePipeline(t.Context(), declared(t, nodes), vectorshift.SaveOptions{}, true)
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, "action", action, wanted)
			wantSame(t, "changes", changes, lines)
			return p
		}
		wantSame(t, "id", look(guideNodes, runner.Created).ID, "")
		wantSame(t, "writes", len(s.Calls(vectorshifttest.Create, vectorshifttest.Save)), 0)
		save(t, c, declared(t, guideNodes))
		written := len(s.Calls(vectorshifttest.Create, vectorshifttest.Save))
		look(guideNodes, runner.Unchanged)
		look(strings.Replace(guideNodes, "gpt-5.1", "gpt-5", 1), runner.Updated, "node llm: model: gpt-5.1 -> gpt-5")
		wantSame(t, "writes", len(s.Calls(vectorshifttest.Create, vectorshifttest.Save)), written)
	})
}

func TestSavedPipelineWithoutNodes(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		id := s.Put(fetched(t, `"a": {"id": "a", "name": "in", "type": "input", "inputs": {"input_type": "file"}}`))
		for _, sp := range []*spec.Pipeline{{Name: "p"}, {ID: id}} {
			p, action, changes := save(t, c, sp)
			wantSame(t, "id", p.ID, id)
			wantSame(t, "action", action, runner.Unchanged)
			wantSame(t, "changes", changes, nil)
		}
		wantSame(t, "writes", len(s.Calls(vectorshifttest.Create, vectorshifttest.Save)), 0)
		for _, sp := range []*spec.Pipeline{{Name: "other"}, {ID: "000000000000000000000000"}, {ID: "000000000000000000000000", Nodes: declared(t, guideNodes).Nodes}} {
			_, _, _, err := c.SavePipeline(t.Context(), sp, vectorshift.SaveOptions{}, false)
			wantStatus(t, err, 404)
		}
		wantSame(t, "pipelines", s.Pipelines(""), []string{id})
	})
}

func wantStatus(t testing.TB, err error, status int) {
	t.Helper()
	api, ok := errors.AsType[*runner.APIError](err)
	if !ok || api.StatusCode != status {
		t.Errorf("%v, want an answer %d", err, status)
	}
}

func TestRefusedSave(t *testing.T) {
	for _, status := range []int{400, 401, 403, 422} {
		inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
			try := func() {
				t.Helper()
				_, _, _, err := c.SavePipeline(t.Context(), declared(t, guideNodes), vectorshift.SaveOptions{}, false)
				wantStatus(t, err, status)
				s.Mend()
			}
			s.Fail(vectorshifttest.Fetch, -1, vectorshifttest.Failure{Status: status})
			try()
			s.Fail(vectorshifttest.Create, -1, vectorshifttest.Failure{Status: status})
			try()
			s.Fail(vectorshifttest.Save, -1, vectorshifttest.Failure{Status: status})
			try()
			wantSame(t, fmt.Sprint("saves answered ", status), len(s.Calls(vectorshifttest.Save)), 1)
			wantSame(t, fmt.Sprint("creates answered ", status), len(s.Calls(vectorshifttest.Create)), 2)
			// Where it ended between create and update, the next one goes on there.
			save(t, c, declared(t, guideNodes))
			wantSame(t, "pipelines", len(s.Pipelines("p")), 1)
		})
	}
}

// TestUpdateIsTriedAgain: with the pauses that are stated, and no more often.
func TestUpdateIsTriedAgain(t *testing.T) {
	late := func(f vectorshifttest.Failure, wait string) vectorshifttest.Failure {
		f.Header = http.Header{"Retry-After": {wait}}
		return f
	}
	down, busy := vectorshifttest.Failure{Status: 500}, vectorshifttest.Failure{Status: 429}
	for name, test := range map[string]struct {
		failures []vectorshifttest.Failure
		calls    int
		took     time.Duration
		fails    bool
	}{
		"500 once":         {[]vectorshifttest.Failure{down}, 2, 500 * time.Millisecond, false},
		"500 three times":  {[]vectorshifttest.Failure{down, down, down}, 4, 3500 * time.Millisecond, false},
		"500 always":       {[]vectorshifttest.Failure{down, down, down, down, down}, 4, 3500 * time.Millisecond, true},
		"connection lost":  {[]vectorshifttest.Failure{{Cut: true}, {Cut: true, Done: true}}, 3, 1500 * time.Millisecond, false},
		"a page":           {[]vectorshifttest.Failure{vectorshifttest.HTML(200)}, 2, 500 * time.Millisecond, false},
		"429":              {[]vectorshifttest.Failure{busy}, 2, 500 * time.Millisecond, false},
		"429, Retry-After": {[]vectorshifttest.Failure{late(busy, "7")}, 2, 7 * time.Second, false},
		"429, an hour":     {[]vectorshifttest.Failure{late(busy, "3600")}, 2, 30 * time.Second, false},
		"503, Retry-After": {[]vectorshifttest.Failure{late(vectorshifttest.Failure{Status: 503}, "2"), down}, 3, 3 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
				for _, f := range test.failures {
					s.Fail(vectorshifttest.Save, 1, f)
				}
				began := time.Now()
				_, _, _, err := c.SavePipeline(t.Context(), declared(t, guideNodes), vectorshift.SaveOptions{}, false)
				wantSame(t, "took", time.Since(began), test.took)
				wantSame(t, "calls", len(s.Calls(vectorshifttest.Save)), test.calls)
				if test.fails {
					wantStatus(t, err, 500)
				} else if err != nil {
					t.Error(err)
				}
				s.Mend()
				save(t, c, declared(t, guideNodes))
				wantSame(t, "pipelines", len(s.Pipelines("p")), 1)
			})
		})
	}
}

func TestFetchIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		save(t, c, declared(t, guideNodes))
		s.Fail(vectorshifttest.Fetch, 3, vectorshifttest.Failure{Status: 503})
		_, action, _ := save(t, c, declared(t, guideNodes))
		wantSame(t, "action", action, runner.Unchanged)
	})
}

func TestSaveEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
		defer cancel()
		s.Fail(vectorshifttest.Save, -1, vectorshifttest.Failure{Status: 500})
		began := time.Now()
		_, _, _, err := c.SavePipeline(ctx, declared(t, guideNodes), vectorshift.SaveOptions{}, false)
		wantStatus(t, err, 500)
		wantSame(t, "took", time.Since(began), 800*time.Millisecond)
	})
}

func TestSaveOptions(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		sp := declared(t, guideNodes)
		sp.Description = "what for"
		p, action, _, err := c.SavePipeline(t.Context(), sp, vectorshift.SaveOptions{NoDeploy: true}, false)
		if err != nil || action != runner.Created {
			t.Fatal(action, err)
		}
		wantSame(t, "description", s.Object(p.ID)["description"], any("what for"))
		for _, o := range []vectorshift.SaveOptions{{Bump: "minor"}, {Description: "second"}} {
			_, action, changes, err := c.SavePipeline(t.Context(), declared(t, guideNodes), o, false)
			if err != nil || action != runner.Updated || changes != nil {
				t.Error(action, changes, err)
			}
		}
		calls := s.Calls(vectorshifttest.Save)
		var said []string
		for _, call := range calls {
			said = append(said, fmt.Sprintf("%v %v %v %v", call.Body["deploy"], call.Body["bump"], call.Body["description"], call.Body["branch_id"] == p.BranchID))
		}
		wantSame(t, "saves", said, []string{"false <nil> <nil> true", "true minor <nil> true", "true <nil> second true"})
		sp.Description = "what for"
		p = wantSaved(t, s, c, sp, runner.Unchanged) // another description alone is no reason to write
		wantSame(t, "notes", p.Notes, []string{"the platform has another description, which is kept: the new one is sent along with the next change"})
		sp.Node("llm").Inputs["model"] = "m"
		p = wantSaved(t, s, c, sp, runner.Updated, "node llm: model: gpt-5.1 -> m", "description: second -> what for")
		wantSame(t, "description", s.Object(p.ID)["description"], any("what for"))
	})
}

// TestDeployThatIsAskedFor is done also where nothing has changed; what is not published
// is told.
func TestDeployThatIsAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		sp := declared(t, guideNodes)
		for _, test := range []struct {
			options vectorshift.SaveOptions
			action  runner.SaveAction
			notes   []string
		}{
			{vectorshift.SaveOptions{NoDeploy: true}, runner.Created, []string{"what was saved is not published: runs use the version before; save --deploy publishes it"}},
			{vectorshift.SaveOptions{NoDeploy: true}, runner.Unchanged, nil},
			{vectorshift.SaveOptions{}, runner.Unchanged, nil},
			{vectorshift.SaveOptions{Deploy: true}, runner.Updated, nil},
		} {
			p, action, changes, err := c.SavePipeline(t.Context(), sp, test.options, false)
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, "action", action, test.action)
			wantSame(t, "changes", changes, nil)
			wantSame(t, "notes", p.Notes, test.notes)
		}
		var deployed []any
		for _, call := range s.Calls(vectorshifttest.Save) {
			deployed = append(deployed, call.Body["deploy"])
		}
		wantSame(t, "deploy", deployed, []any{false, true})
	})
}

// TestAnswerWithoutNodes: what is not known would be lost.
func TestAnswerWithoutNodes(t *testing.T) {
	for _, nodes := range []string{"", `, "nodes": null`, `, "nodes": "many"`} {
		inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
			s.Fail(vectorshifttest.Fetch, -1, vectorshifttest.Failure{Status: 200, Body: `{"object": {"_id": "5", "name": "p", "config": {}` + nodes + `}}`})
			for _, lookOnly := range []bool{true, false} {
				_, _, _, err := c.SavePipeline(t.Context(), declared(t, guideNodes), vectorshift.SaveOptions{}, lookOnly)
				wantNoNodes(t, err)
			}
			p, action, _ := save(t, c, &spec.Pipeline{Name: "p"})
			wantSame(t, "action", action, runner.Unchanged)
			guide(p)
			_, err := p.Save(t.Context(), vectorshift.SaveOptions{})
			wantNoNodes(t, err)
			wantSame(t, "writes", len(s.Calls(vectorshifttest.Create, vectorshifttest.Save)), 0)
		})
	}
}

func wantNoNodes(t *testing.T, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "pipeline p (5) was fetched, but the answer holds no nodes") {
		t.Error(err)
	}
}

func TestSeveralOfOneName(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		nodes := `"a": {"id": "a", "name": "in", "type": "input", "inputs": {}}`
		older := s.Put(fetched(t, nodes))
		s.Put(map[string]any{"name": "q"})
		newer := s.Put(fetched(t, nodes))
		p, action, _ := save(t, c, declared(t, guideNodes))
		wantSame(t, "id", p.ID, newer)
		wantSame(t, "action", action, runner.Updated)
		wantSame(t, "others", p.Others, []string{older})
		s.Fail(vectorshifttest.List, 1, vectorshifttest.Failure{Status: 500})
		p, action, _ = save(t, c, declared(t, guideNodes))
		wantSame(t, "action", action, runner.Unchanged)
		wantSame(t, "others of a list that fails", p.Others, nil)
	})
}

func TestSaveNeedsWhatWasFetched(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p := c.Pipeline("000000000000000000000000")
		guide(p)
		if _, err := p.Save(t.Context(), vectorshift.SaveOptions{}); err == nil || !strings.Contains(err.Error(), "fetch it before") {
			t.Error(err)
		}
		wantSame(t, "calls", len(s.Calls()), 0)
	})
}

func TestCircles(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p, err := c.New(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		p.Add("a", vectorshift.Text{Text: "{{ b.text }}"})
		p.Add("b", vectorshift.Text{Text: "{{ a.text }}"})
		if _, err := p.Save(t.Context(), vectorshift.SaveOptions{}); err == nil || !strings.Contains(err.Error(), "circle: a -> b -> a") {
			t.Error(err)
		}
		p.Add("a", vectorshift.Raw{Type: "text", Inputs: map[string]any{"text": "hi"}, CyclicInputs: map[string]any{"text": "{{ b.text }}"}})
		if _, err := p.Save(t.Context(), vectorshift.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		a, b := p.Node("a").ID, p.Node("b").ID
		wantSame(t, "cyclic inputs", member(t, s.Object(p.ID), "nodes."+a+".cyclic_inputs.text"), any("{{ "+b+".text }}"))
		edges := member(t, s.Object(p.ID), "canvas_metadata.edges").([]any)
		wantSame(t, "edges", len(edges), 2)
		sp, notes, err := p.Spec()
		if err != nil || notes != nil {
			t.Fatal(notes, err)
		}
		sp.Name = "p"
		wantSaved(t, s, c, sp, runner.Unchanged)
	})
}

// TestSaveAgainFromHere: a pipeline that was saved is what the platform has, and nodes
// that the caller holds are still its nodes.
func TestSaveAgainFromHere(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p, err := c.New(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		a := p.Add("a", vectorshift.Text{Text: "one"})
		for _, test := range []struct {
			text   string
			action runner.SaveAction
		}{{"one", runner.Updated}, {"one", runner.Unchanged}, {"two", runner.Updated}} {
			a.Inputs["text"] = test.text
			action, err := p.Save(t.Context(), vectorshift.SaveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, "action", action, test.action)
			wantSame(t, "changes", p.Changes(), nil)
			wantSame(t, "outputs", a.Outputs, []string{"text"})
			wantSame(t, "text", member(t, s.Object(p.ID), "nodes."+a.ID+".inputs.text"), any(test.text))
		}
	})
}
