package spec

import (
	"fmt"
	"strings"

	"nightshift/schema"
)

// ReadEnvFile reads variables from a file of NAME=value lines. Empty lines and
// lines that begin with # are passed over, `export ` is allowed; a value in
// single quotes is taken as it is, one in double quotes may hold \n, \" and \\,
// and one without quotes ends at " #". Errors name the line, never its text:
// it may be a secret.
func ReadEnvFile(path string) (map[string]string, error) {
	source, err := readFile(path)
	if err != nil {
		return nil, schema.Problems{{File: path, Message: fmt.Sprintf("cannot read the env file: %v", reason(err))}}
	}
	vars := map[string]string{}
	var problems schema.Problems
	text := strings.TrimPrefix(string(source), "\ufeff")
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name = strings.TrimSpace(name)
		if ok {
			value, ok = envValue(value)
		}
		if !ok || !isVariable(name) {
			problems = append(problems, schema.Problem{File: path, Line: i + 1, Col: 1, Message: "not a line of the form NAME=value"})
			continue
		}
		vars[name] = value
	}
	if problems != nil {
		return nil, problems
	}
	return vars, nil
}

func envValue(s string) (string, bool) {
	plain, _, _ := strings.Cut(s, " #")
	s = strings.TrimSpace(s)
	if s == "" || s[0] != '"' && s[0] != '\'' {
		return strings.TrimSpace(plain), true
	}
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			rest := strings.TrimSpace(s[i+1:])
			return b.String(), rest == "" || rest[0] == '#'
		case c == '\\' && quote == '"' && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case '"', '\\', '$':
				b.WriteByte(s[i])
			default:
				b.WriteByte('\\')
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", false // the quote is not closed
}
