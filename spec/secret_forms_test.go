package spec

import (
	"encoding/base64"
	"strings"
	"testing"
)

// TestForms: a secret is hidden in every form that comes from an address, a page
// or a header.
func TestForms(t *testing.T) {
	const secret = "p@ss \"w\"/1&<é>\nend"
	r := NewRedactor([]string{secret})
	encode := base64.StdEncoding.EncodeToString
	for name, form := range map[string]string{
		"one line":                 "p@ss \"w\"/1&<é> end",
		"a query":                  "p%40ss+%22w%22%2F1%26%3C%C3%A9%3E%0Aend",
		"a step of a path":         "p@ss%20%22w%22%2F1&%3C%C3%A9%3E%0Aend",
		"a path":                   "p@ss%20%22w%22/1&%3C%C3%A9%3E%0Aend",
		"a password":               "p%40ss%20%22w%22%2F1&%3C%C3%A9%3E%0Aend",
		"a page":                   "p@ss &#34;w&#34;/1&amp;&lt;é&gt;\nend",
		"a page of others":         "p@ss &quot;w&quot;/1&amp;&lt;é&gt;\nend",
		"JSON":                     `p@ss \"w\"/1&<é>\nend`,
		"JSON for pages":           `p@ss \"w\"/1\u0026\u003cé\u003e\nend`,
		"ASCII":                    `p@ss \"w\"/1&<\u00e9>\nend`,
		"JSON inside of JSON":      `p@ss \\\"w\\\"/1&<é>\\nend`,
		"JSON of a path, in words": `p@ss%20%22w%22/1&%3C%C3%A9%3E%0Aend`,
	} {
		if got := r.Text("(" + form + ")"); got != "([hidden])" {
			t.Errorf("%s: %s became %s", name, form, got)
		}
	}
	for _, user := range []string{"", "u", "me", "you", "user:"} {
		for _, rest := range []string{"", "!", "!!", "!!!"} {
			got := r.Text(encode([]byte(user + secret + rest)))
			left, _, _ := strings.Cut(got, hidden)
			raw, _ := base64.RawStdEncoding.DecodeString(left[:len(left)/4*4])
			if !strings.Contains(got, hidden) || len(got) > len(hidden)+len(encode([]byte(user)))+len(encode([]byte(rest)))+4 || len(raw) > len(user) {
				t.Errorf("base64 of %q, the secret and %q is shown as %s", user, rest, got)
			}
		}
	}
	// Too short to be looked for in base64.
	if got := NewRedactor([]string{"1234567"}).Text(encode([]byte("1234567"))); strings.Contains(got, hidden) {
		t.Errorf("base64 of a short secret became %s", got)
	}
}

// TestParts: what others show of a secret is not always the whole of it.
func TestParts(t *testing.T) {
	r := NewRedactor([]string{
		"-----BEGIN KEY-----\nMIGEAgEAMBAGByqGSM49AgEGBSuBBAAK\nBG0wawIBAQQgVcB\n-----END KEY-----\n",
		"https://me:hunter22@hooks.example.com/services/T0/B0/x%2Fyz?signature=0123456789abcdef",
		"postgres://me:short@db/orders",
	})
	for text, want := range map[string]string{
		"line 2 is MIGEAgEAMBAGByqGSM49AgEGBSuBBAAK": "line 2 is [hidden]",
		"line 3 is BG0wawIBAQQgVcB":                  "line 3 is BG0wawIBAQQgVcB", // too short to be told from other words
		"cannot POST /services/T0/B0/x%2Fyz":         "cannot POST [hidden]",
		"cannot POST \"/services/T0/B0/x/yz\"":       "cannot POST \"[hidden]\"",
		"?signature=0123456789abcdef":                "?[hidden]",
		"me:hunter22, bWU6aHVudGVyMjI=":              "me:[hidden], bWU6[hidden]I=",
		"hooks.example.com does not answer":          "hooks.example.com does not answer",
		"a short text about orders":                  "a short text about orders",
	} {
		if got := r.Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// TestSameKeys: where keys become one, what stays is the same each time.
func TestSameKeys(t *testing.T) {
	r := NewRedactor([]string{"swordfish", "perch"})
	for range 100 {
		if got := Text(r.Value(map[string]any{"swordfish": "a", "perch": "b", "other": "c"})); got != `{"[hidden]":"a","other":"c"}` {
			t.Fatal(got)
		}
	}
}
