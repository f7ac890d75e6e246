package engine

import (
	"fmt"
	"slices"

	"nightshift/spec"
)

// nodeTypes are the types that this engine runs. What they do is written down
// for users in the catalogue, schema/nodes.yaml.
var nodeTypes = map[string]nodeType{
	"input":            {compile: compileInput},
	"output":           {compile: compileOutput},
	"text":             {compile: compileText},
	"condition":        {compile: compileCondition},
	"merge":            {compile: compileMerge, merges: "fields"},
	"time":             {compile: compileTime},
	"wait_node":        {compile: compileWait, blocking: true},
	"convert_type":     {compile: compileConvertType},
	"combine_text":     {compile: compileCombineText},
	"split_text":       {compile: compileSplitText},
	"text_formatter":   {compile: compileTextFormatter},
	"find_and_replace": {compile: compileFindAndReplace},
	"read_json_values": {compile: compileReadJSON},
	"write_json_value": {compile: compileWriteJSON},
	"create_list":      {compile: compileCreateList},
	"combine_list":     {compile: compileCombineList},
	"flatten_list":     {compile: compileFlattenList},
	"get_list_item":    {compile: compileGetListItem},
	"join_list_item":   {compile: compileJoinListItem},
	"list_trimmer":     {compile: compileListTrimmer},
	"api":              {compile: compileAPI, blocking: true},
	"llm":              {compile: compileLLM, asks: true},
	"summarizer":       {compile: compileSummarizer, asks: true},
	"translator":       {compile: compileTranslator, asks: true},
	"scorer":           {compile: compileScorer, asks: true},
	"categorizer":      {compile: compileCategorizer, asks: true},
	"extract_data":     {compile: compileExtractData, asks: true},
	"ai_routing":       {compile: compileAIRouting, asks: true},
	"ai_filter_list":   {compile: compileAIFilterList, asks: true},

	"llm_open_ai_vision":   {compile: compileVision("openai"), asks: true},
	"llm_anthropic_vision": {compile: compileVision("anthropic"), asks: true},
	"llm_google_vision":    {compile: compileVision("google"), asks: true},
}

// inputTypes are the input types whose values have a plain form.
var inputTypes = []string{"string", "int32", "float", "bool", "timestamp", "image", "vec<string>", "vec<vec<string>>"}

// compileInput does nothing when it runs: a run's inputs are in their slots
// from the start.
func compileInput(s *setup) step {
	p := spec.Pipeline{Nodes: []*spec.Node{s.spec}}
	in := p.InputNodes()[0]
	if !slices.Contains(inputTypes, in.Type) {
		s.refuse("input_type", "input_type %s is not run by this engine yet", in.Type)
		return nil
	}
	if in.HasDefault {
		if _, err := spec.Convert(in.Default, in.Type); err != nil {
			s.refuse("default_value", "default_value: %v", err)
		}
	}
	name := "value"
	switch in.Type {
	case "string":
		name = "text"
	case "image":
		name = "image"
	}
	s.program.inputs = append(s.program.inputs, programInput{Input: in, slot: s.out(name)})
	return func(*call) error { return nil }
}

var outputTypes = []string{"string", "int32", "float", "bool", "timestamp", "json", "stream<string>"}

func compileOutput(s *setup) step {
	name, value := s.spec.Name, s.in("value")
	typ, _ := s.spec.Inputs["output_type"].(string)
	if typ == "" {
		typ = "string"
	}
	if !slices.Contains(outputTypes, typ) {
		s.refuse("output_type", "output_type %s is not run by this engine yet", typ)
		return nil
	}
	s.program.outputs = append(s.program.outputs, name)
	return func(c *call) error {
		v, err := published(value.value(c), typ)
		if err != nil {
			return fmt.Errorf("output_type %s: %w", typ, err)
		}
		c.run.outputs[name] = v
		return nil
	}
}

// published gives a value the form of an output type.
func published(v any, typ string) (any, error) {
	switch typ {
	case "string", "stream<string>", "timestamp":
		return spec.Text(v), nil
	case "json":
		text, ok := v.(string)
		if !ok {
			return v, nil
		}
		parsed, err := spec.ParseJSON([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("%s is not JSON", quote(text))
		}
		return parsed, nil
	}
	return spec.Convert(v, typ)
}

func compileText(s *setup) step {
	text, out := s.in("text"), s.out("text")
	return func(c *call) error {
		c.set(out, text.text(c))
		return nil
	}
}

// compileMerge rejoins branches. A field is empty where all that it refers to
// was skipped, whatever text stands around the references.
func compileMerge(s *setup) step {
	function, fields, out := s.in("function"), s.in("fields"), s.out("output")
	items, written := fields.template.Items()
	completes := make([][]int, len(items)) // of the nodes that an item refers to
	for i, item := range items {
		for ref := range item.Refs() {
			completes[i] = append(completes[i], s.slots[[2]string{ref.Node, "complete"}].slot)
		}
	}
	return func(c *call) error {
		how, err := function.choice(c)
		if err != nil {
			return err
		}
		list := make([]any, 0, len(items))
		for i, item := range items {
			ran := func(slot int) bool { return c.run.values[slot] == true }
			if completes[i] == nil || slices.ContainsFunc(completes[i], ran) {
				list = append(list, item.Value(c.get))
			}
		}
		if !written {
			if list, err = fields.list(c); err != nil {
				return err
			}
			list = slices.Clone(list)
		}
		list = slices.DeleteFunc(list, spec.IsEmpty)
		switch {
		case how == "join":
			c.set(out, list)
		case len(list) > 0:
			c.set(out, list[0])
		default:
			c.set(out, "")
		}
		return nil
	}
}
