package schema

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"gopkg.in/yaml.v3"
)

// translator turns the leaves of a validation error into problems: what the
// author wrote wrong, where, and what would have been right.
type translator struct {
	root     *yaml.Node
	where    string
	source   map[string]any
	noBatch  bool // what it speaks of is not a node that could be put into batch mode
	problems []Problem
}

func (t *translator) walk(e *jsonschema.ValidationError) {
	// Of alternatives, the first is the one that authors mean: an enum.
	if keyword(e) == "anyOf" && len(e.Causes) > 0 {
		t.walk(e.Causes[0])
		return
	}
	if len(e.Causes) > 0 && keyword(e) != "propertyNames" {
		for _, cause := range e.Causes {
			t.walk(cause)
		}
		return
	}
	t.leaf(e)
}

func keyword(e *jsonschema.ValidationError) string {
	return e.KeywordLocation[strings.LastIndexByte(e.KeywordLocation, '/')+1:]
}

func (t *translator) leaf(e *jsonschema.ValidationError) {
	tokens := instanceTokens(e.InstanceLocation)
	node, words := t.locate(tokens)
	rule := t.rule(e.AbsoluteKeywordLocation)
	if keyword(e) == "propertyNames" || strings.Contains(e.KeywordLocation, "/propertyNames/") {
		t.badName(e, tokens, rule)
		return
	}
	named := subject(words)
	switch keyword(e) {
	case "additionalProperties":
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			properties, _ := rule["properties"].(map[string]any)
			if _, known := properties[key.Value]; !known {
				hint := DidYouMean(key.Value, slices.Sorted(maps.Keys(properties)))
				if _, isNode := properties["inputs"]; isNode && isInput(child(node, "type"), key.Value) {
					hint = "; it belongs into inputs"
				}
				t.add(key, "unknown key %q%s%s", key.Value, in(words), hint)
			}
		}
	case "required":
		for _, name := range rule["required"].([]any) {
			if child(node, name.(string)) == nil {
				because, _ := rule["because"].(string)
				t.add(node, "%q is missing%s%s", name, in(words), because)
			}
		}
	case "enum":
		allowed := anyStrings(rule["enum"])
		hint := ""
		if node.Kind == yaml.ScalarNode {
			hint = DidYouMean(node.Value, allowed)
		}
		t.add(node, "%s is %s, but must be %s%s", named, describe(node), oneOf(allowed), hint)
	case "type":
		said, hint := expectation(rule), ""
		if node.Kind == yaml.SequenceNode && !t.noBatch && len(tokens) == 1 {
			said = strings.TrimSuffix(said, " (put it in quotes)")
			hint = "; execution_mode: batch takes a list, and runs the node once for each element"
		}
		t.add(node, "%s is %s, but must be %s%s", named, describe(node), said, hint)
	case "pattern":
		t.add(node, "%s is %s, but must be %s", named, describe(node), expectation(rule))
	case "minLength", "minItems", "minProperties":
		t.add(node, "%s is empty", named)
	case "minimum":
		t.add(node, "%s is %s, but must be at least %v", named, describe(node), rule["minimum"])
	case "maximum":
		t.add(node, "%s is %s, but must be at most %v", named, describe(node), rule["maximum"])
	case "exclusiveMinimum":
		t.add(node, "%s is %s, but must be more than %v", named, describe(node), rule["exclusiveMinimum"])
	default:
		t.add(node, "%s: %s", named, e.Message)
	}
}

// isInput tells whether nodes of a type have an input of that name.
func isInput(typ *yaml.Node, name string) bool {
	if typ == nil || LookupNodeType(typ.Value) == nil {
		return slices.ContainsFunc(CommonInputs(), func(f Field) bool { return f.Name == name })
	}
	_, ok := LookupNodeType(typ.Value).Input(name)
	return ok
}

// badName reports map keys (node and batch names) of a form that is not allowed.
func (t *translator) badName(e *jsonschema.ValidationError, tokens []string, rule map[string]any) {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
		rule = t.rule(e.AbsoluteKeywordLocation)
	}
	if len(tokens) == 0 {
		t.add(t.root, "%s", e.Message)
		return
	}
	name := tokens[len(tokens)-1]
	parent, words := t.locate(tokens[:len(tokens)-1])
	place := parent
	for i := 0; i+1 < len(parent.Content); i += 2 {
		if parent.Content[i].Value == name {
			place = parent.Content[i]
		}
	}
	message, _ := rule["patternErrorMessage"].(string)
	t.add(place, "name %q%s is not allowed: it must consist of %s", name, in(words), message)
}

// subject names what a message is about; the root has no other name.
func subject(words string) string {
	if words == "" {
		return "the file"
	}
	return words
}

func (t *translator) add(n *yaml.Node, format string, args ...any) {
	t.problems = append(t.problems, at(n, format, args...))
}

// locate finds the YAML node of an instance, and its place in words.
func (t *translator) locate(tokens []string) (*yaml.Node, string) {
	node, words := t.root, t.where
	for _, token := range tokens {
		next := child(node, token)
		if next == nil {
			break
		}
		if node.Kind == yaml.SequenceNode {
			words += "[" + token + "]"
		} else if words == "" {
			words = token
		} else {
			words += "." + token
		}
		node = next
	}
	return node, words
}

func child(n *yaml.Node, token string) *yaml.Node {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == token {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(token); err == nil && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

func instanceTokens(location string) []string {
	tokens := pointer(location)
	for i, token := range tokens {
		if plain, err := url.PathUnescape(token); err == nil {
			tokens[i] = plain
		}
	}
	return tokens
}

// rule gives the schema object that holds the keyword which failed.
func (t *translator) rule(absolute string) map[string]any {
	_, location, _ := strings.Cut(absolute, "#")
	tokens := instanceTokens(location)
	var at any = t.source
	var rule map[string]any
	for _, token := range tokens {
		switch v := at.(type) {
		case map[string]any:
			rule = v
			at = v[token]
		case []any:
			i, _ := strconv.Atoi(token)
			if i < len(v) {
				at = v[i]
			}
		}
	}
	return rule
}

func in(words string) string {
	if words == "" {
		return ""
	}
	return " in " + words
}

// describe says what the author wrote, short enough to stand in a sentence.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!str":
		return fmt.Sprintf("the text %q", Shorten(n.Value, 40))
	}
	return n.Value
}

// expectation says what a schema object asks for.
func expectation(rule map[string]any) string {
	if message, ok := rule["patternErrorMessage"].(string); ok {
		return message
	}
	types := anyStrings(rule["type"])
	if rule["pattern"] == referencePattern { // text stands for a reference only
		types = slices.DeleteFunc(types, func(s string) bool { return s == "string" })
	}
	names := map[string]string{"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list", "object": "a map"}
	for i, typ := range types {
		types[i] = names[typ]
	}
	said := strings.Join(types, " or ")
	if rule["pattern"] == referencePattern {
		said += " (or a reference such as {{ node.output }})"
	} else if said == "text" {
		said += " (put it in quotes)"
	}
	return said
}

func oneOf(allowed []string) string {
	const most = 12
	if len(allowed) == 1 {
		return allowed[0]
	}
	if len(allowed) > most {
		return fmt.Sprintf("one of %s, … (%d in all)", strings.Join(allowed[:most], ", "), len(allowed))
	}
	return "one of " + strings.Join(allowed, ", ")
}

func anyStrings(v any) []string {
	switch v := v.(type) {
	case []any:
		all := make([]string, len(v))
		for i, s := range v {
			all[i] = fmt.Sprint(s)
		}
		return all
	case string:
		return []string{v}
	}
	return nil
}
