package engine

import "nightshift/spec"

// refused are inputs whose work this engine does not do. To pass over them
// would be worse: an author relies on a filter that is not there.
var refused = []string{
	"enable_web_search", "safe_context_token_window", "citation_metadata",
	"enable_moderation", "enable_pii_address", "enable_pii_cc", "enable_pii_email", "enable_pii_name", "enable_pii_phone", "enable_pii_ssn", "safety",
}

func (s *setup) refuseSwitches() {
	for _, name := range refused {
		if on(s.spec.Inputs[name]) {
			s.refuse(name, "%s is not done by this engine yet; leave it out", name)
		}
	}
}

// on tells whether a switch, or one of a group of them, is set or may be.
func on(v any) bool {
	if group, ok := v.(map[string]any); ok {
		for _, member := range group {
			if on(member) {
				return true
			}
		}
		return false
	}
	return v != false && v != "false" && !spec.IsEmpty(v)
}
