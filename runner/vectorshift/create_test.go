package vectorshift_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
)

// TestNeverTwoPipelines: whatever becomes of the answer to a create.
func TestNeverTwoPipelines(t *testing.T) {
	lost := map[string]vectorshifttest.Failure{
		"500": {Status: 500}, "502": {Status: 502}, "504": {Status: 504}, "429": {Status: 429}, "cut": {Cut: true},
		"late": {Delay: vectorshifttest.Forever}, "page": vectorshifttest.HTML(200), "no id": {Status: 200, Body: `{"status":"success"}`},
		"half": {CutAfter: 5},
	}
	for name, failure := range lost {
		for what, done := range map[string]bool{" done": true, " not done": false} {
			for many, times := range map[string]int{" once": 1, " three times": 3} {
				t.Run(name+what+many, func(t *testing.T) {
					inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
						failure.Done = done && name != "429"
						s.Fail(vectorshifttest.Create, times, failure)
						p := wantSaved(t, s, c, declared(t, guideNodes), runner.Created)
						wantSame(t, "pipelines", s.Pipelines(""), []string{p.ID})
						if failure.Done {
							wantSame(t, "creates", len(s.Calls(vectorshifttest.Create)), 1)
						}
					})
				})
			}
		}
	}
}

// TestNewBesideOthers: New makes another one of a name, and does not take an older one
// for it when the answer is lost.
func TestNewBesideOthers(t *testing.T) {
	for name, failure := range map[string]*vectorshifttest.Failure{
		"all well": nil, "lost, done": {Cut: true, Done: true}, "lost, not done": {Cut: true}, "500, not done": {Status: 500},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
				older := []string{s.Put(map[string]any{"name": "p"}), s.Put(map[string]any{"name": "p"})}
				if failure != nil {
					s.Fail(vectorshifttest.Create, 1, *failure)
				}
				p, err := c.New(t.Context(), "p")
				if err != nil {
					t.Fatal(err)
				}
				wantSame(t, "pipelines", s.Pipelines("p"), []string{p.ID, older[1], older[0]})
				guide(p)
				if _, err := p.Save(t.Context(), vectorshift.SaveOptions{}); err != nil {
					t.Fatal(err)
				}
				wantSame(t, "nodes", len(s.Object(p.ID)["nodes"].(map[string]any)), 3)
			})
		})
	}
}

// TestOthersOfAName are told also where one has just been created.
func TestOthersOfAName(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		other := ""
		s.Set(vectorshifttest.Settings{Before: func(call vectorshifttest.Call) *vectorshifttest.Failure {
			if call.Op == vectorshifttest.Create { // somebody else does so in that moment
				other = s.Put(map[string]any{"name": "p"})
			}
			return nil
		}})
		p, action, _ := save(t, c, declared(t, guideNodes))
		wantSame(t, "action", action, runner.Created)
		wantSame(t, "others", p.Others, []string{other})
	})
}

func TestCreateIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		s.Fail(vectorshifttest.Create, -1, vectorshifttest.Failure{Status: 500})
		_, err := c.New(t.Context(), "p")
		wantStatus(t, err, 500)
		wantSame(t, "creates", len(s.Calls(vectorshifttest.Create)), 4)
	})
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		s.Fail(vectorshifttest.Create, 1, vectorshifttest.Failure{Cut: true, Done: true})
		s.Set(vectorshifttest.Settings{Before: func(call vectorshifttest.Call) *vectorshifttest.Failure {
			if call.Op == vectorshifttest.Fetch && len(s.Calls(vectorshifttest.Create)) > 0 {
				return &vectorshifttest.Failure{Status: 503}
			}
			return nil
		}})
		_, err := c.New(t.Context(), "p")
		if err == nil || !strings.Contains(err.Error(), "whether it was created is not known") {
			t.Error(err)
		}
		wantSame(t, "creates", len(s.Calls(vectorshifttest.Create)), 1)
	})
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second/2, cancel)
		s.Fail(vectorshifttest.Create, 1, vectorshifttest.Failure{Status: 504})
		_, err := c.New(ctx, "p")
		if err == nil || !strings.Contains(err.Error(), "whether it was created is not known") {
			t.Error(err)
		}
		synctest.Wait()
	})
}

func TestListAndDelete(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		first, second := s.Put(map[string]any{"name": "a"}), s.Put(map[string]any{"name": "b"})
		all, err := c.List(t.Context(), vectorshift.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "list", all, []vectorshift.Listed{{ID: second, Name: "b"}, {ID: first, Name: "a"}})
		if all, err = c.List(t.Context(), vectorshift.ListOptions{IncludeShared: true, Folder: "f", Offset: 1, Limit: 1}); err != nil {
			t.Fatal(err)
		}
		wantSame(t, "page", all, []vectorshift.Listed{{ID: first, Name: "a"}})
		calls := s.Calls(vectorshifttest.List)
		wantSame(t, "query", calls[len(calls)-1].Query.Encode(), "folder_id=f&include_shared=true&limit=1&offset=1&verbose=true")
		if err := c.Delete(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		wantSame(t, "left", s.Pipelines(""), []string{second})
		wantStatus(t, c.Delete(t.Context(), first), 404)
		s.Fail(vectorshifttest.List, 1, vectorshifttest.Failure{Status: 200, Body: `{"status":"success","object_ids":["x"]}`})
		if all, err = c.List(t.Context(), vectorshift.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		wantSame(t, "ids only", all, []vectorshift.Listed{{ID: "x"}})
	})
}
