package engine

import (
	"fmt"
	"slices"
	"strings"

	"nightshift/runner/engine/llm"
	"nightshift/spec"
)

// check looks at what is written down, before there is a run.
func (m *model) check(s *setup) {
	if m.literal(m.settings()...) && !m.checkSettings(s) {
		return
	}
	if !m.literal(m.provider, m.apiKey) {
		s.keep(m.client.Keys()...)
		return
	}
	r := llm.Request{Provider: m.asked(&call{}), APIKey: m.apiKey.text(&call{})}
	key, err := m.client.Key(r)
	if err != nil {
		s.program.needs.Missing = append(s.program.needs.Missing, s.spec.Problem("provider", "node %s (%s): %v", s.spec.Name, s.spec.Type, err))
	}
	s.keep(key)
}

// checkPrice notes a model whose price is not known beforehand.
func (m *model) checkPrice(s *setup) {
	for _, in := range []input{m.provider, m.name, m.useTuned, m.tuned} {
		if _, plain := in.literal(); !plain {
			s.unpriced(in.name, "which model it asks is known only when it runs", "write "+in.name+" out")
			return
		}
	}
	provider, name := m.asked(&call{}), m.name
	if on(spec.Text(m.useTuned.value(&call{}))) {
		name = m.tuned
	}
	if model := name.text(&call{}); !m.prices.Known(provider, model) {
		s.unpriced(name.name, fmt.Sprintf("model %s/%s has no known price", provider, model), "give run.prices")
	}
}

func (s *setup) unpriced(input, why, mend string) {
	s.program.needs.Unpriced = append(s.program.needs.Unpriced,
		s.spec.Problem(input, "node %s (%s): %s, so run.stop.budget.usd cannot be kept; %s", s.spec.Name, s.spec.Type, why, mend))
}

// literal tells whether inputs are written down, without references.
func (m *model) literal(inputs ...input) bool {
	return !slices.ContainsFunc(inputs, func(in input) bool {
		_, plain := in.literal()
		return !plain
	})
}

func (m *model) checkSettings(s *setup) bool {
	r, err := m.request(&call{})
	if err == nil {
		err = m.client.Check(r)
	}
	if err != nil {
		s.refuse(m.named(s, err), "node %s (%s): %v", s.spec.Name, s.spec.Type, err)
		return false
	}
	return true
}

// named gives the input that a message about the settings names, so that it can
// be shown at its place.
func (m *model) named(s *setup, err error) string {
	for _, in := range m.settings() {
		if _, given := s.spec.Inputs[in.name]; given && in.name != "provider" && in.name != "model" && strings.Contains(err.Error(), in.name) {
			return in.name
		}
	}
	return "provider"
}

// keep notes keys that must not be written anywhere.
func (s *setup) keep(keys ...string) {
	for _, key := range keys {
		if key != "" && !slices.Contains(s.program.needs.Keys, key) {
			s.program.needs.Keys = append(s.program.needs.Keys, key)
		}
	}
}
