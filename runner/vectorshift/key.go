package vectorshift

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"nightshift/spec"

	"github.com/BurntSushi/toml"
)

// Key is what calls are made with, so that the caller can hide it.
func (c *Client) Key() string { return c.key }

// minKey is how long a key is at least that is hidden; a shorter one is a
// placeholder, such as "none", and may be a word of any text.
const minKey = 8

// hider takes the key out of what the platform says.
type hider struct {
	*spec.Redactor
	spelt *regexp.Regexp // the key as JSON may spell it: any of its characters may be escaped
}

func newHider(key string) hider {
	if len(key) < minKey {
		return hider{}
	}
	var spelt strings.Builder
	for _, r := range key {
		fmt.Fprintf(&spelt, `(?:\\?%s|\\u(?i:%04x))`, regexp.QuoteMeta(string(r)), r)
	}
	return hider{spec.NewRedactor([]string{key}), regexp.MustCompile(spelt.String())}
}

// Text gives a text without the key.
func (h hider) Text(s string) string {
	if h.spelt == nil {
		return s
	}
	return h.Redactor.Text(h.spelt.ReplaceAllString(s, "[hidden]"))
}

// findKey takes the key that is given, else that of the environment, else that of
// the platform's own configuration file. Nothing of it is in an error.
func findKey(given string, env func(name string) string) (string, error) {
	key, from := strings.TrimSpace(given), "Options.Key"
	if key == "" {
		key, from = env("VECTORSHIFT_API_KEY"), "VECTORSHIFT_API_KEY"
	}
	if key == "" {
		home := env("HOME")
		if home == "" {
			home = env("USERPROFILE")
		}
		if home == "" {
			return "", errors.New("no key of the platform: set VECTORSHIFT_API_KEY")
		}
		from = filepath.Join(home, ".vectorshift", "config.toml")
		var err error
		if key, err = keyInFile(from); err != nil {
			return "", err
		}
	}
	switch {
	case key == "":
		return "", fmt.Errorf("no key of the platform: set VECTORSHIFT_API_KEY, or write api_key under [auth] in %s", from)
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("the key in %s is no key: it holds white space or other characters that cannot be sent", from)
	}
	return key, nil
}

const maxConfig = 1 << 20

// keyInFile reads api_key under [auth]; "" where there is no such file or key.
func keyInFile(path string) (string, error) {
	unreadable := func(err error) error {
		return fmt.Errorf("cannot read the key of the platform in %s: %w; mend it, or set VECTORSHIFT_API_KEY", path, reason(err))
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", unreadable(err)
	case !info.Mode().IsRegular(): // a pipe would be waited for
		return "", unreadable(errors.New("it is no file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return "", unreadable(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return "", unreadable(err)
	}
	if len(text) > maxConfig {
		return "", unreadable(fmt.Errorf("it has more than %d MB", maxConfig>>20))
	}
	var config map[string]any
	if _, err := toml.Decode(string(text), &config); err != nil {
		if at, ok := errors.AsType[toml.ParseError](err); ok {
			return "", unreadable(fmt.Errorf("line %d is no TOML", at.Position.Line)) // its own words quote the file
		}
		return "", unreadable(errors.New("it is no TOML"))
	}
	auth, ok := config["auth"].(map[string]any)
	if !ok && config["auth"] != nil {
		return "", unreadable(errors.New("auth is no table"))
	}
	key, ok := auth["api_key"].(string)
	if !ok && auth["api_key"] != nil {
		return "", unreadable(errors.New("api_key under [auth] is no text"))
	}
	return strings.TrimSpace(key), nil
}
