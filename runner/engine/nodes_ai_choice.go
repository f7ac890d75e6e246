package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nightshift/schema"
	"nightshift/spec"
)

const (
	categorize = `You sort texts into categories. Choose the one category that fits the text that you are given best. The categories are:`

	categoryAnswer = `Answer with a JSON object: "category" is the name of the category, as it is written above.`
)

// compileCategorizer finds the one of the author's categories that fits a text.
func compileCategorizer(s *setup) step {
	m := s.model("")
	text, fields, context := s.needed("text"), s.in("fields"), s.in("additional_context")
	reasons, out, counts := s.justification(), s.out("category"), s.counts()
	if v, plain := fields.literal(); plain {
		if _, err := readCategories(v); err != nil {
			s.refuse("fields", "node %s (%s): %v", s.spec.Name, s.spec.Type, err)
		}
	}
	return func(c *call) error {
		r, data, err := m.about(c, text)
		if err != nil {
			return err
		}
		all, err := readCategories(fields.value(c))
		if err != nil {
			return err
		}
		asked, err := reasons.asked(c)
		if err != nil {
			return err
		}
		r.System = paragraphs(categorize+all.described(), also(context.text(c)), categoryAnswer, asked.words(), dataIsData)
		r.Prompt, r.Schema = tagged("text", data), asked.form().with("category", oneWordOf(all.names)).schema()
		var category string
		answer, err := m.object(c, r, func(object map[string]any) error {
			v, _ := said(object, "category")
			known := false
			if category, known = oneOf(v, all.names); !known {
				return errors.New("its category is none of those given")
			}
			return asked.read(object)
		})
		if err != nil {
			return err
		}
		c.set(out, category)
		c.set(reasons.out, asked.text)
		counts.set(c, answer)
		return nil
	}
}

// choices are what a model can choose from, each with what it is for.
type choices struct{ names, descriptions []string }

func (all choices) described() string {
	var b strings.Builder
	for i, name := range all.names {
		b.WriteString("\n- " + name)
		if all.descriptions[i] != "" {
			b.WriteString(": " + all.descriptions[i])
		}
	}
	return b.String()
}

// readCategories wants a list of {name, description}, or of names.
func readCategories(v any) (all choices, err error) {
	list, err := toList(v)
	if err != nil {
		return all, fmt.Errorf("input \"fields\": %w", err)
	}
	for i, item := range list {
		name, description := item, any(nil)
		if fields, ok := item.(map[string]any); ok {
			name, description = fields["name"], fields["description"]
		}
		trimmed := strings.TrimSpace(spec.Text(name))
		if trimmed == "" {
			return all, fmt.Errorf("input \"fields\": element %d has no name", i)
		}
		if slices.Contains(all.names, trimmed) {
			return all, fmt.Errorf("input \"fields\": category %q is there twice", trimmed)
		}
		all.names = append(all.names, trimmed)
		all.descriptions = append(all.descriptions, strings.TrimSpace(spec.Text(description)))
	}
	if len(list) == 0 {
		return all, errors.New("input \"fields\" names no categories")
	}
	return all, nil
}

const (
	route = `You decide which way a message goes. Choose the path whose description fits the message that you are given best, or "none" where no description fits. The paths are:`

	memoryIsContext = `What stands between the tags of the memory tells more about the message; it is not the message.`

	pathAnswer = `Answer with a JSON object: "path" is the name of the path, as it is written above, or "none".`

	noPath = "none"
)

// compileAIRouting takes the path whose description fits, or none.
func compileAIRouting(s *setup) step {
	m := s.model("")
	query, useMemory, memory := s.needed("input_query"), s.in("enable_shared_memory"), s.in("shared_memory")
	descriptions, written := s.in("conditions").template.Items()
	if !written {
		s.refuse("conditions", "conditions must be written out: they decide which outputs the node has")
	} else if len(descriptions) == 0 {
		s.refuse("conditions", "node %s (%s): input \"conditions\" describes no paths", s.spec.Name, s.spec.Type)
	}
	var paths []string
	var outs []int
	for i, d := range descriptions {
		if v, plain := d.Literal(); plain && blank(v) {
			s.refuse("conditions", "conditions[%d] is empty", i)
		}
		paths = append(paths, fmt.Sprintf("path_%d", i))
		outs = append(outs, s.out(paths[i]))
	}
	s.refuseOtherPaths(paths)
	answers := append(slices.Clone(paths), noPath)
	return func(c *call) error {
		r, message, err := m.about(c, query)
		if err != nil {
			return err
		}
		remember, err := useMemory.boolean(c)
		if err != nil {
			return err
		}
		all := choices{names: paths}
		for i, d := range descriptions {
			text := strings.TrimSpace(d.Text(c.get))
			if text == "" {
				return fmt.Errorf("conditions[%d] is empty", i)
			}
			all.descriptions = append(all.descriptions, text)
		}
		r.System, r.Prompt = paragraphs(route+all.described(), pathAnswer, dataIsData), tagged("message", message)
		if text := memory.text(c); remember && !blank(text) {
			r.System = paragraphs(r.System, memoryIsContext)
			r.Prompt = paragraphs(tagged("memory", text), r.Prompt)
		}
		r.Schema = form{}.with("path", oneWordOf(answers)).schema()
		path := ""
		_, err = m.object(c, r, func(object map[string]any) error {
			v, _ := said(object, "path")
			known := false
			if path, known = oneOf(v, answers); !known {
				return errors.New("its path is none of those given")
			}
			return nil
		})
		if err != nil {
			return err
		}
		if path != noPath {
			c.set(outs[slices.Index(paths, path)], true)
		}
		return nil
	}
}

// refuseOtherPaths wants those paths in `outputs` only: as a map has no order, no
// other name can be said to belong to a description.
func (s *setup) refuseOtherPaths(paths []string) {
	names, _ := s.spec.Inputs["outputs"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !slices.Contains(paths, name) {
			s.refuse("outputs", "outputs names %q, which belongs to no condition; the paths are %s%s",
				name, strings.Join(paths, ", "), schema.DidYouMean(name, paths))
		} else if names[name] != "path" {
			s.refuse("outputs", "outputs gives %s the type %s, but a path is of type path", name, quote(names[name]))
		}
	}
}
