package vectorshift

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"nightshift/spec"

	"github.com/BurntSushi/toml"
)

// Key is what calls are made with, so that the caller can hide it.
func (c *Client) Key() string {
	if c == nil || c.key == nil {
		return ""
	}
	return c.key()
}

// secret is a text that nothing prints: fmt, and all that looks by reflection, sees
// a function.
type secret func() string

func newSecret(text string) secret { return func() string { return text } }

// Format prints the options without the key.
func (o Options) Format(f fmt.State, verb rune) {
	type shown Options // has no methods
	if o.Key != "" {
		o.Key = "[hidden]"
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), shown(o))
}

// LogValue logs the options without the key.
func (o Options) LogValue() slog.Value {
	return slog.GroupValue(slog.String("base_url", o.BaseURL), slog.Duration("timeout", o.Timeout))
}

// minKey is how long a key is at least that is hidden; a shorter one is a
// placeholder, such as "none", and may be a word of any text.
const minKey = 8

// hider takes the key out of what the platform says. It has the key in functions alone,
// as [secret] has.
type hider struct {
	hide func(text string) string
	hold func(text string) (show, held string)
}

// between is what a message may hold between two characters of the key: tags of a
// page, white space, and characters that are not seen, such as the NULs of UTF-16.
const between = `(?:<[^<>]*>|\\[nrt]|\\u(?i:00[01][0-9a-f]|00ad|20[0-6][0-9a-f]|feff)|[\s\pZ\pC])*`

func newHider(key string) hider {
	if len(key) < minKey {
		return hider{}
	}
	spelt := make([]string, len(key)) // any character may be escaped, as JSON or as a page does it
	for i, r := range key {
		spelt[i] = fmt.Sprintf(`(?:\\?%s|\\u(?i:%04[2]x)|&#0*%[2]d;|&#(?i:x0*%[2]x);|&%s;)`, regexp.QuoteMeta(string(r)), r, cmp.Or(entities[r], "-"))
	}
	pattern, redactor := regexp.MustCompile(strings.Join(spelt, between)), spec.NewRedactor([]string{key})
	return hider{
		hide: func(text string) string { return redactor.Text(pattern.ReplaceAllString(text, "[hidden]")) },
		hold: redactor.Hold,
	}
}

// entities are the names that characters have in pages.
var entities = map[rune]string{'"': "quot", '&': "amp", '<': "lt", '>': "gt", '\'': "apos"}

// Text gives a text without the key.
func (h hider) Text(s string) string {
	if h.hide == nil {
		return s
	}
	return h.hide(s)
}

// Hold gives a text that was cut off without what may be a half of the key at its end.
func (h hider) Hold(s string) string {
	if h.hold == nil {
		return s
	}
	show, _ := h.hold(s)
	return show
}

// ID gives an id, or "" where the key is in it: whoever says that is not the
// platform.
func (h hider) ID(id string) string {
	if h.Text(id) != id {
		return ""
	}
	return id
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

// reason is an error of a file without its name, which is said already.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
