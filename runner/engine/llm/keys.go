package llm

import (
	"fmt"
	"slices"
	"strings"
)

// Keys are all keys of providers that are set. Where it is not known which
// provider will be asked, none of them must be written anywhere.
func (c *Client) Keys() []string {
	var keys []string
	for _, p := range providers {
		for _, name := range p.keys {
			if key := c.env(name); key != "" && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// Key gives the API key that a request is made with; "" where there is none and
// the provider may do without, and in a rehearsal, which asks nobody.
func (c *Client) Key(r Request) (string, error) {
	p, err := findProvider(r.Provider)
	if err != nil || c.rehearse != nil {
		return "", err
	}
	key, from := strings.TrimSpace(r.APIKey), "api_key"
	for _, name := range p.keys {
		if key == "" {
			key, from = c.env(name), name
		}
	}
	switch {
	case key == "" && !p.keyless:
		return "", fmt.Errorf("no key for %s: set %s, or give api_key: ${...}", p.name, strings.Join(p.keys, " or "))
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("the key in %s is no key: it holds white space or other characters that cannot be sent", from)
	}
	return key, nil
}
