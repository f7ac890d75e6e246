package spec

import (
	"errors"
	"fmt"
	"strings"

	"nightshift/schema"

	"gopkg.in/yaml.v3"
)

// Environment looks up a variable.
type Environment func(name string) (value string, set bool)

// expand fills variables into every scalar value below n; keys stay as they
// are. A value that was written without quotes gets the type of its new text,
// so that `concurrency: ${N}` is a number.
func (d *document) expand(n *yaml.Node) { d.expandAround(n, nil) }

// expandAround is expand for what may have the code of a node in it, whose language
// may have a ${...} of its own.
func (d *document) expandAround(n, code *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		if of := codeOf(n); of != nil {
			code = of
		}
		for i := 1; i < len(n.Content); i += 2 {
			if n == d.root && n.Content[i-1].Value == "secrets" {
				continue // names are wanted there, and are read ahead of this
			}
			d.expandAround(n.Content[i], code)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			d.expandAround(c, code)
		}
	case yaml.ScalarNode:
		if !strings.Contains(n.Value, "$") {
			return
		}
		value, err := expandText(n.Value, d.reading.variable)
		if name, ok := errors.AsType[unsetError](err); ok && n == code {
			err = fmt.Errorf("%w; in JavaScript write $${%s}", err, string(name))
		}
		if n == code && err == nil {
			for _, m := range plainVariable().FindAllStringSubmatch(n.Value, -1) {
				if name := m[1]; name != "" {
					d.warn(d.problem(n, "the variable %s of the environment becomes a part of the code; in JavaScript write $${%s}, or ${%s:?} if that is meant", name, name, name))
				}
			}
		}
		if err != nil {
			d.report(d.problem(n, "%v", err))
			return
		}
		if d.written == nil {
			d.written = map[*yaml.Node]string{}
		}
		d.written[n] = n.Value
		if n.Value = value; n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0 {
			n.Tag = ""
		}
	}
}

// plainVariable finds ${VAR}, and each $$, so that what is behind it is none.
var plainVariable = Pattern(`\$\$|\$\{(\w+)\}`)

// codeOf gives the code of a node, or nil where the mapping is no node that has any.
func codeOf(n *yaml.Node) *yaml.Node {
	if typ := valueOf(n, "type"); typ == nil || typ.Value != "code_execution" {
		return nil
	}
	return valueOf(valueOf(n, "inputs"), "code")
}

// expandText replaces ${VAR}, ${VAR:-default} and ${VAR:?message}; $$ is a
// dollar, and any other dollar stays.
func expandText(s string, env Environment) (string, error) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 == len(s) {
			b.WriteString(s)
			return b.String(), nil
		}
		b.WriteString(s[:i])
		switch s = s[i:]; s[1] {
		case '$':
			b.WriteByte('$')
			s = s[2:]
		case '{':
			end := strings.IndexByte(s, '}')
			if end < 0 {
				return "", fmt.Errorf("%q has no closing brace; write $$ for a plain dollar", shorten(s))
			}
			value, err := lookup(s[2:end], env)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			s = s[end+1:]
		default:
			b.WriteByte('$')
			s = s[1:]
		}
	}
}

// lookup evaluates the inside of ${...}. As in a shell, a variable that is set
// to nothing counts as not set for :- and :?.
func lookup(body string, env Environment) (string, error) {
	name, rest, _ := strings.Cut(body, ":")
	if strings.Contains(rest, "${") {
		return "", fmt.Errorf("${%s} holds another variable; a default or message is plain text", shorten(body))
	}
	if !isVariable(name) {
		return "", fmt.Errorf("${%s} does not name a variable; write $${ for plain text", shorten(body))
	}
	value, set := env(name)
	switch {
	case rest == "" && name == body:
		if !set {
			return "", unsetError(name)
		}
		return value, nil
	case strings.HasPrefix(rest, "-"):
		if value == "" {
			return rest[1:], nil
		}
		return value, nil
	case strings.HasPrefix(rest, "?"):
		if value == "" && rest == "?" {
			return "", fmt.Errorf("variable %s is not set", name)
		} else if value == "" {
			return "", fmt.Errorf("variable %s is not set: %s", name, rest[1:])
		}
		return value, nil
	}
	return "", fmt.Errorf("${%s} is not understood; write ${VAR}, ${VAR:-default} or ${VAR:?message}", shorten(body))
}

// unsetError is the name of a variable that is not set, and must be.
type unsetError string

func (name unsetError) Error() string {
	return fmt.Sprintf("variable %s is not set; set it, or write ${%s:-default}", string(name), string(name))
}

func isVariable(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

func shorten(s string) string { return schema.Shorten(s, 40) }

// valueOf gives the value of a key of a mapping, or nil.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// keyOf gives the key's own node, or the mapping where the key is not there.
func keyOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i]
		}
	}
	return n
}
