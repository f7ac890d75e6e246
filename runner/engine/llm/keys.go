package llm

import "slices"

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
