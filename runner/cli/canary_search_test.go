package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// canary is a secret that is looked for. Its middle, of letters and digits, is the
// same however the rest is escaped.
type canary struct{ before, middle, after string }

func (c canary) String() string { return c.before + c.middle + c.after }

// canaries are secrets in all the ways in which they come in.
var (
	listed     = canary{`x"/<`, "C4naryListed81", `>&+ é`} // a variable under secrets
	hostname   = canary{"", "c4naryhostname57", ""}        // another, that can be one of a host
	filed      = canary{`\`, "C4naryEnvFile55", `'`}       // of an env file
	numeric    = canary{"", "90210447113", ""}
	openKey    = canary{`sk-"`, "C4naryOpen92", `/+<&=`}  // of the environment
	routerKey  = canary{"rt-", "C4naryRouter73", "/+=="}  // named by the pipeline
	otherKey   = canary{"ov-", "C4naryBatch64", "/+=="}   // named by a batch, in its place
	unaskedKey = canary{"gr-", "C4naryUnasked38", "/+=="} // of a provider that nobody asks

	canaries = []canary{listed, hostname, filed, numeric, openKey, routerKey, otherKey, unaskedKey}
)

// window is how long a piece of a canary must be to be found.
const window = 8

// needle is a form of a piece of a secret.
type needle struct {
	text   string
	folded bool // in lower case, as what is searched
	of     canary
}

// needles are all pieces of secrets in all forms: as they are, also in other
// letters, in hex and in base64, wherever they stand in a longer text.
func needles(secrets ...canary) []needle {
	var all []needle
	for _, secret := range secrets {
		for at := range len(secret.middle) - window + 1 {
			piece := secret.middle[at : at+window]
			all = append(all, needle{strings.ToLower(piece), true, secret}, needle{hex.EncodeToString([]byte(piece)), true, secret})
			for shift := range 3 {
				text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), piece...))
				all = append(all, needle{text[(8*shift+5)/6 : 8*(window+shift)/6], false, secret})
			}
		}
	}
	return all
}

var allNeedles = needles(canaries...)

// leaks says what of the secrets is in a text: one place of each.
func leaks(text []byte, all []needle) []string {
	lower, seen := bytes.ToLower(text), map[canary]bool{}
	var found []string
	for _, n := range all {
		in := text
		if n.folded {
			in = lower
		}
		if at := bytes.Index(in, []byte(n.text)); at >= 0 && !seen[n.of] {
			seen[n.of] = true
			found = append(found, fmt.Sprintf("%s, as %q", n.of.middle, text[max(0, at-120):min(len(text), at+60)]))
		}
	}
	return found
}

// TestCanarySearch: the search finds what it is to find, and nothing else.
func TestCanarySearch(t *testing.T) {
	for _, c := range canaries {
		secret, m := c.String(), c.middle
		for _, form := range []string{
			secret, m, strings.ToUpper(m), fmt.Sprintf("%q", secret), fmt.Sprintf("%x", m), fmt.Sprintf("%X", secret), m[1:1+window] + "…", "…" + m[len(m)-window:],
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte("user:" + m)), base64.StdEncoding.EncodeToString([]byte("me:" + m)),
		} {
			if found := leaks([]byte("before "+form+" after"), allNeedles); len(found) != 1 || !strings.HasPrefix(found[0], m) {
				t.Errorf("%s is not found in %s, but %q", m, form, found)
			}
		}
	}
	if found := leaks([]byte("C4nary Listed [hidden] 9021044 7113"), allNeedles); found != nil {
		t.Errorf("found: %q", found)
	}
}
