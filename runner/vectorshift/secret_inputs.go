package vectorshift

import (
	"encoding/json"
	"strings"

	"nightshift/schema"
	"nightshift/spec"
)

var (
	mask       = spec.Pattern(`[*\x{2022}]{3}`)
	keyName    = spec.Pattern(`(?i)(api|access|secret|private|subscription)[_-]?key([_-]?id)?$`)
	secretName = spec.Pattern(`(?i)key|secret|password|token|auth|credential|headers`)
)

// isMask tells whether a value is what the platform shows in place of a key.
func isMask(v any) bool { return mask().MatchString(text(v)) }

// isSecret tells whether an input takes a key or a password: by its name, where the
// catalogue does not know it.
func isSecret(t *schema.NodeType, input string) bool {
	f, known := fieldOf(t, input)
	return f.Secret || !known && secretName().MatchString(input)
}

// isProviderKey tells whether an input takes a key of a provider, other than the
// password of a file: by its name, where nothing is known of the type.
func isProviderKey(t *schema.NodeType, input string) bool {
	f, known := fieldOf(t, input)
	if known || t != nil && t.OpenInputs {
		return f.Secret && strings.Contains(input, "key")
	}
	return keyName().MatchString(input)
}

// takesPersonalKey tells whether a node of this type can say that its key is to be sent.
func takesPersonalKey(t *schema.NodeType) bool {
	_, known := fieldOf(t, "use_personal_api_key")
	return t == nil || t.OpenInputs || known
}

// isPersonal tells whether inputs say so.
func isPersonal(inputs map[string]any) bool {
	return typed(schema.Field{Type: "bool"}, inputs["use_personal_api_key"]) == true
}

// holdsSecret tells whether a value is not to be shown: keys, and what looks as if it
// may hold one.
func holdsSecret(f schema.Field, v any) bool {
	switch typed(f, v).(type) {
	case nil, bool, json.Number:
		return f.Secret
	}
	return f.Secret || secretName().MatchString(f.Name)
}
