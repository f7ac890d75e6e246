package engine

import (
	"errors"
	"fmt"

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
	items, mode, others := s.in("list_to_filter"), s.in("filter_mode"), s.in("filter_by")
	condition, leaveBlank, out := s.needed("ai_condition"), s.in("output_blank_value"), s.out("output")
	return func(c *call) error {
		r, err := m.request(c)
		if err != nil {
			return err
		}
		list, err := items.list(c)
		if err != nil {
			return err
		}
		how, err := mode.choice(c)
		if err != nil {
			return err
		}
		tested := list
		if how == "another" {
			if tested, err = others.list(c); err != nil {
				return err
			}
			if len(tested) != len(list) {
				return fmt.Errorf("input \"filter_by\" has %d items, but list_to_filter has %d", len(tested), len(list))
			}
		}
		by, err := condition.neededText(c)
		if err != nil {
			return err
		}
		blanks, err := leaveBlank.boolean(c)
		if err != nil {
			return err
		}
		r.System = paragraphs(judge+"\n"+by, judgeAnswer, dataIsData)
		r.Schema = form{}.with("meets", map[string]any{"type": "boolean"}).schema()
		meets, err := each(c, memo, len(tested), func(c *call, i int) (meets bool, err error) {
			r := r
			r.Prompt = tagged("item", spec.Text(tested[i]))
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
		kept := []any{}
		for i, item := range list {
			switch {
			case meets[i]:
				kept = append(kept, item)
			case blanks:
				kept = append(kept, "")
			}
		}
		c.set(out, kept)
		return nil
	}
}
