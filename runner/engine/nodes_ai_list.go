package engine

import (
	"errors"

	"nightshift/spec"
)

const (
	judge = `You check whether an item meets a condition. The condition is:`

	judgeAnswer = `Answer with a JSON object: "meets" is true if the item that you are given meets the condition, and false if it does not.`
)

// compileAIFilterList keeps the items that meet a condition, or whose partner in
// another list does.
func compileAIFilterList(s *setup) step {
	m, memo := s.model(""), s.memo()
	f, condition := s.filter(), s.needed("ai_condition")
	return func(c *call) error {
		r, err := m.request(c)
		if err != nil {
			return err
		}
		l, err := f.lists(c)
		if err != nil {
			return err
		}
		by, err := condition.neededText(c)
		if err != nil {
			return err
		}
		r.System = paragraphs(judge+"\n"+by, judgeAnswer, dataIsData)
		r.Schema = form{}.with("meets", map[string]any{"type": "boolean"}).schema()
		meets, err := each(c, memo, len(l.tested), func(c *call, i int) (meets bool, err error) {
			r := r
			r.Prompt = tagged("item", spec.Text(l.tested[i]))
			_, err = m.object(c, r, func(object map[string]any) error {
				v, _ := said(object, "meets")
				verdict, err := spec.Convert(v, "bool")
				if err != nil {
					return errors.New("it says neither true nor false")
				}
				meets = verdict.(bool)
				return nil
			})
			return meets, err
		})
		if err != nil {
			return err
		}
		c.set(f.out, l.kept(meets))
		return nil
	}
}
