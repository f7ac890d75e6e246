package engine

import (
	"encoding/json"
	"errors"

	"nightshift/spec"
)

const summarize = `You summarise texts. Write a short summary of the text that you are given, in the language of that text, with what matters in it and nothing that is not in it. Answer with the summary alone.`

// compileSummarizer makes a text shorter.
func compileSummarizer(s *setup) step {
	m := s.model("")
	text, out, counts := s.needed("text"), s.out("summary"), s.counts()
	return func(c *call) error {
		r, data, err := m.about(c, text)
		if err != nil {
			return err
		}
		r.System, r.Prompt = paragraphs(summarize, dataIsData), tagged("text", data)
		answer, err := m.text(c, r, "summary", out)
		if err != nil {
			return err
		}
		counts.set(c, answer)
		return nil
	}
}

const (
	translate = `You are a translator. Translate the text that you are given, all of it, and keep its form: lines, lists, marks and code. Answer with the translation alone.`

	detectLanguage = "Detect Language" // as source_language
)

// compileTranslator puts a text into another language.
func compileTranslator(s *setup) step {
	m := s.model("")
	text, from, to, out := s.needed("text"), s.in("source_language"), s.in("target_language"), s.out("translation")
	return func(c *call) error {
		r, data, err := m.about(c, text)
		if err != nil {
			return err
		}
		source, err := from.choice(c)
		if err != nil {
			return err
		}
		target, err := to.choice(c)
		if err != nil {
			return err
		}
		languages := "The text is in " + source + "; translate it into " + target + "."
		if source == detectLanguage {
			languages = "Find out in which language the text is, and translate it into " + target + "."
		}
		r.System, r.Prompt = paragraphs(translate, languages, dataIsData), tagged("text", data)
		_, err = m.text(c, r, "translation", out)
		return err
	}
}

const (
	score = `You score texts. Score the text that you are given by these criteria:`

	scoreAnswer = `Answer with a JSON object: "score" is the score, a number on the scale of the criteria.`

	justify = `"justification" says in one to three sentences why.`
)

// compileScorer gives a text a number.
func compileScorer(s *setup) step {
	m := s.model("")
	text, criteria, context := s.needed("text"), s.needed("criteria"), s.in("additional_context")
	reasons, out := s.justification(), s.out("score")
	return func(c *call) error {
		r, data, err := m.about(c, text)
		if err != nil {
			return err
		}
		by, err := criteria.neededText(c)
		if err != nil {
			return err
		}
		asked, err := reasons.asked(c)
		if err != nil {
			return err
		}
		r.System = paragraphs(score+"\n"+by, also(context.text(c)), scoreAnswer, asked.words(), dataIsData)
		r.Prompt, r.Schema = tagged("text", data), asked.form().with("score", map[string]any{"type": "number"}).schema()
		var number json.Number
		_, err = m.object(c, r, func(object map[string]any) (err error) {
			v, _ := said(object, "score")
			if number, err = spec.ToNumber(v); err != nil {
				return errors.New("its score is no number")
			}
			return asked.read(object)
		})
		if err != nil {
			return err
		}
		c.set(out, number)
		c.set(reasons.out, asked.text)
		return nil
	}
}

// justification is what nodes that judge can be told to give beside.
type justification struct {
	in  input
	out int
}

func (s *setup) justification() justification {
	return justification{s.in("justification"), s.out("justification")}
}

// reason is the justification of one answer.
type reason struct {
	wanted bool
	text   string
}

func (j justification) asked(c *call) (*reason, error) {
	wanted, err := j.in.boolean(c)
	return &reason{wanted: wanted}, err
}

// form begins that of the answer: reasons come first, as they help to decide.
func (r *reason) form() form {
	if !r.wanted {
		return nil
	}
	return form{}.with("justification", map[string]any{"type": "string"})
}

// words ask for it in the system text.
func (r *reason) words() string {
	if !r.wanted {
		return ""
	}
	return justify
}

func (r *reason) read(object map[string]any) error {
	v, _ := said(object, "justification")
	if r.text = spec.Text(v); r.wanted && blank(r.text) {
		return errors.New("it has no justification")
	}
	return nil
}
