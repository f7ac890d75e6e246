package vectorshifttest

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A start is lost whose answer leaves open whether there is a run, also where the one
// who made it had gone before it was answered.
func TestLostStarts(t *testing.T) {
	for name, test := range map[string]struct {
		Failure
		answered int
		lost     bool
	}{
		"answered":       {Failure{}, 200, false},
		"answered late":  {Failure{Delay: time.Second}, 200, false},
		"429":            {RetryAfter(1), 429, false},
		"500":            {Failure{Status: 500}, 500, false},
		"503":            {Failure{Status: 503}, 503, false},
		"502":            {Failure{Status: 502, Done: true}, 502, true},
		"504":            {Failure{Status: 504}, 504, true},
		"520":            {Failure{Status: 520}, 520, true},
		"524":            {Failure{Status: 524}, 524, true},
		"a page":         {HTML(http.StatusOK), 200, true},
		"cut":            {Failure{Cut: true, Done: true}, 0, true},
		"answered never": {Failure{Delay: Forever}, 0, true},
		"gone meanwhile": {Failure{Delay: time.Minute}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewInProcess()
				defer s.Close()
				id := s.Put(map[string]any{"name": "p", "nodes": map[string]any{}})
				s.Fail(Start, 1, test.Failure)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/pipeline/"+id+"/run", strings.NewReader(`{"background": true, "inputs": {}}`))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+s.Key)
				began := time.Now()
				if answer, err := s.Client().Do(r); err == nil {
					answer.Body.Close()
				}
				synctest.Wait()
				c := s.Calls(Start)[0]
				if c.Answered != test.answered || c.Lost() != test.lost || c.AnsweredAt.IsZero() != (test.answered == 0) {
					t.Errorf("answered %d at %v, lost: %v", c.Answered, c.AnsweredAt.Sub(began), c.Lost())
				}
			})
		})
	}
}
