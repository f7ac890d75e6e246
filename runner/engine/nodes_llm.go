package engine

import (
	"errors"

	"nightshift/runner/engine/llm"
)

// compileLLM asks a model, with a prompt and a system text.
func compileLLM(s *setup) step {
	m := s.model("")
	prompt, system := s.in("prompt"), s.in("system")
	response, counts := s.out("response"), s.counts()
	return s.retried(func(c *call) error {
		r, err := m.request(c)
		if err != nil {
			return err
		}
		r.Prompt, r.System = prompt.text(c), system.text(c)
		if r.Prompt == "" && r.System == "" {
			return errors.New("prompt and system are both empty")
		}
		answer, err := m.ask(c, r, "response", m.fits(r))
		if err != nil {
			return err
		}
		c.set(response, answer.Text)
		counts.set(c, answer)
		return nil
	})
}

// counts are the outputs that say how long question and answer were.
type counts struct{ all, in, out int }

func (s *setup) counts() counts {
	return counts{s.out("tokens_used"), s.out("input_tokens"), s.out("output_tokens")}
}

func (n counts) set(c *call, a llm.Answer) {
	c.set(n.all, number(a.InputTokens+a.OutputTokens))
	c.set(n.in, number(a.InputTokens))
	c.set(n.out, number(a.OutputTokens))
}
