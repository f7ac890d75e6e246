package vectorshift_test

import (
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/spec"
)

// TestMasksAreNotSent: what the platform shows in place of a key would take its place.
func TestMasksAreNotSent(t *testing.T) {
	const (
		notSent     = "node n: its api_key cannot be read back from the platform and is not sent: declare it, or enter it there again"
		notCompared = "node n: its api_key cannot be compared with the one that the platform has: it is sent along with the next change"
	)
	for name, test := range map[string]struct {
		typ, declared string
		changes       []string
		key           any // that the save sends; "": there is none
		notes         []string
	}{
		"left alone":           {"llm", `provider: openai`, nil, "", nil},
		"beside a change":      {"llm", `provider: openai, model: m`, []string{"node n: model: m is added"}, nil, []string{notSent}},
		"a key":                {"llm", `provider: openai, use_personal_api_key: true, api_key: sk-mine`, nil, "", []string{notCompared}},
		"a key and a change":   {"llm", `provider: openai, use_personal_api_key: true, api_key: sk-mine, model: m`, []string{"node n: model: m is added"}, "sk-mine", nil},
		"a mask that is given": {"llm", `provider: openai, use_personal_api_key: true, api_key: sk-****, model: m`, []string{"node n: model: m is added"}, nil, []string{notSent}},
		"of an unknown type":   {"alien", `provider: openai, use_personal_api_key: true, model: m`, []string{"node n: model: m is added"}, nil, []string{notSent}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
				s.Put(fetched(t, `"n": {"id": "n", "name": "n", "type": "`+test.typ+`", "inputs": {"provider": "openai", "use_personal_api_key": true, "api_key": "sk-****"}}`))
				if !strings.Contains(test.declared, "use_personal") {
					test.declared += ", use_personal_api_key: true"
				}
				p, _, changes := save(t, c, declared(t, "n: {type: "+test.typ+", inputs: {"+test.declared+"}}"))
				wantSame(t, "changes", changes, test.changes)
				wantSame(t, "notes", p.Notes, test.notes)
				calls := s.Calls(vectorshifttest.Save)
				if test.key == "" {
					wantSame(t, "saves", len(calls), 0)
					return
				}
				wantSame(t, "key", member(t, calls[0].Body, "nodes.n.inputs.api_key"), test.key)
			})
		})
	}
}

func TestMaskOfWhatWasMadeElsewhere(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		id := s.Put(fetched(t, wiredNodes+`, "a": {"id": "a", "name": "ag", "type": "agent", "task_name": "agent", "execution_mode": "normal", "outputs": [], "inputs": {"api_key": "••••1234", "stars": "***"}}`))
		p := wantSaved(t, s, c, declared(t, textNodes+"\nnew: {type: text, inputs: {text: hi}}"), runner.Updated, "node new (text) is added")
		wantSame(t, "notes", p.Notes, []string{"node ag (agent) stays: it was made elsewhere", "node ag: its api_key cannot be read back from the platform and is not sent: declare it, or enter it there again"})
		wantSame(t, "inputs", member(t, s.Object(id), "nodes.a.inputs"), any(map[string]any{"stars": "***"}))
	})
}

// TestKeysOfUnknownTypes: they are known by their names, and it is said that they are
// held back.
func TestKeysOfUnknownTypes(t *testing.T) {
	for _, key := range []string{"api_key", "apikey", "apiKey", "openai_api_key", "access_key", "aws_access_key_id", "secret_access_key", "secret_key", "private_key"} {
		inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
			p := wantSaved(t, s, c, declared(t, "n: {type: alien, inputs: {"+key+": sk-canary, keys: sent, monkey: sent}}"), runner.Created)
			kept := string(spec.AppendJSON(nil, s.Object(p.ID)))
			if strings.Contains(kept, "canary") || !strings.Contains(kept, `"keys":"sent"`) || !strings.Contains(kept, `"monkey":"sent"`) {
				t.Error(kept)
			}
			p, _, _ = save(t, c, declared(t, "n: {type: alien, inputs: {"+key+": sk-canary, keys: sent, monkey: sent}}"))
			wantSame(t, "notes", p.Notes, []string{"node n: its " + key + " is not sent to the platform; write use_personal_api_key: true to send it"})
			p, _, _ = save(t, c, declared(t, "n: {type: alien, inputs: {"+key+": sk-mine, use_personal_api_key: true}}"))
			wantSame(t, "key", member(t, s.Object(p.ID), "nodes."+p.Node("n").ID+".inputs."+key), any("sk-mine"))
			wantSame(t, "notes of one that is sent", p.Notes, nil)
		})
	}
}

func TestNotesOfKeysThatAreHeldBack(t *testing.T) {
	inBubble(t, func(t *testing.T, s *vectorshifttest.Server, c *vectorshift.Client) {
		p, _, _ := save(t, c, declared(t, `
a: {type: llm, inputs: {provider: bedrock, aws_secret_access_key: s, api_key: sk-1}}
b: {type: llm_google_vision, inputs: {image: "http://x", prompt: p, api_key: sk-3}}
c: {type: llm, inputs: {provider: openai, api_key: ""}}`))
		wantSame(t, "notes", p.Notes, []string{
			"node a: its api_key is not sent to the platform; write use_personal_api_key: true to send it",
			"node a: its aws_secret_access_key is not sent to the platform; write use_personal_api_key: true to send it",
			"node b: its api_key is not sent to the platform: enter it there",
		})
	})
}
