package vectorshift

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKey(t *testing.T) {
	t.Parallel()
	const inFile = "[auth]\napi_key = 'vs-of-the-file'\n"
	for _, test := range []struct {
		name   string
		given  string
		env    string
		config string // "": there is no file
		want   string // the key
		err    string // CONFIG is the path of the file
	}{
		{name: "given", given: "sk_given", env: "sk_env", config: inFile, want: "sk_given"},
		{name: "of the environment", env: "sk_env", config: inFile, want: "sk_env"},
		{name: "of the file", config: inFile, want: "vs-of-the-file"},
		{name: "of the file, in a line", config: `auth = { api_key = "k" }`, want: "k"},
		{name: "of the file, with more", config: "[other]\na = 1\n[auth]\norg = \"x\"\napi_key = '''\nvs-1\n'''\n", want: "vs-1"},
		{name: "with a newline at its end", env: "  sk_env\r\n", want: "sk_env"},
		{name: "empty, so that of the file", env: " \n", config: inFile, want: "vs-of-the-file"},
		{name: "a damaged file that is not needed", env: "sk_env", config: "[", want: "sk_env"},

		{name: "none", err: "no key of the platform: set VECTORSHIFT_API_KEY, or write api_key under [auth] in CONFIG"},
		{name: "none in the file", config: "[auth]\nkey = 'x'\n", err: "no key of the platform: set VECTORSHIFT_API_KEY, or write api_key under [auth] in CONFIG"},
		{name: "an empty one in the file", config: "[auth]\napi_key = ''\n", err: "no key of the platform: set VECTORSHIFT_API_KEY, or write api_key under [auth] in CONFIG"},
		{name: "with a newline", given: "sk_secret\nX-Other: 1", err: "the key in Options.Key is no key: it holds white space or other characters that cannot be sent"},
		{name: "with a space", env: "sk secret", err: "the key in VECTORSHIFT_API_KEY is no key: it holds white space or other characters that cannot be sent"},
		{name: "with a control character", env: "sk\x7fsecret", err: "the key in VECTORSHIFT_API_KEY is no key: it holds white space or other characters that cannot be sent"},
		{name: "with an umlaut", config: "[auth]\napi_key = 'sk_sücret'\n", err: "the key in CONFIG is no key: it holds white space or other characters that cannot be sent"},
		{name: "of another type", config: "[auth]\napi_key = 7\n", err: "cannot read the key of the platform in CONFIG: api_key under [auth] is no text; mend it, or set VECTORSHIFT_API_KEY"},
		{name: "in a list", config: "auth = ['sk_secret']\n", err: "cannot read the key of the platform in CONFIG: auth is no table; mend it, or set VECTORSHIFT_API_KEY"},
		{name: "in lists of tables", config: "[[auth]]\napi_key = 'sk_secret'\n", err: "cannot read the key of the platform in CONFIG: auth is no table; mend it, or set VECTORSHIFT_API_KEY"},
		{name: "not in quotes", config: "# mine\n[auth]\napi_key = sk_secret\n", err: "cannot read the key of the platform in CONFIG: line 3 is no TOML; mend it, or set VECTORSHIFT_API_KEY"},
		{name: "without an end", config: "[auth]\napi_key = 'sk_secret", err: "cannot read the key of the platform in CONFIG: line 2 is no TOML; mend it, or set VECTORSHIFT_API_KEY"},
		{name: "twice", config: inFile + "api_key = 'sk_secret'\n", err: "cannot read the key of the platform in CONFIG: line 3 is no TOML; mend it, or set VECTORSHIFT_API_KEY"},
		{name: "in binary", config: "sk_secret\x00\xff", err: "cannot read the key of the platform in CONFIG: line 1 is no TOML; mend it, or set VECTORSHIFT_API_KEY"},
		{name: "in a file without an end", config: strings.Repeat("# sk_secret\n", 100_000), err: "cannot read the key of the platform in CONFIG: it has more than 1 MB; mend it, or set VECTORSHIFT_API_KEY"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			config := filepath.Join(home, ".vectorshift", "config.toml")
			if test.config != "" {
				writeFile(t, config, test.config)
			}
			c, err := New(Options{Key: test.given, Env: environment("VECTORSHIFT_API_KEY", test.env, "HOME", home)})
			if err != nil {
				want(t, "error", strings.ReplaceAll(err.Error(), config, "CONFIG"), test.err)
				return
			}
			want(t, "error", "", test.err)
			want(t, "key", c.Key(), test.want)
		})
	}
}

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKeyFileThatIsNone(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(path string){
		"it is no file":     func(path string) { writeFile(t, filepath.Join(path, "x"), "") },
		"not a directory":   func(path string) { writeFile(t, filepath.Dir(path), "") },
		"permission denied": func(path string) { writeFile(t, path, "[auth]\napi_key = 'sk_secret'"); os.Chmod(path, 0) },
	} {
		if name == "permission denied" && os.Getuid() == 0 {
			continue // may read all
		}
		home := t.TempDir()
		path := filepath.Join(home, ".vectorshift", "config.toml")
		make(path)
		_, err := New(Options{Env: environment("HOME", home)})
		if err == nil || err.Error() != "cannot read the key of the platform in "+path+": "+name+"; mend it, or set VECTORSHIFT_API_KEY" {
			t.Errorf("%s: error %v", name, err)
		}
	}
	_, err := New(Options{Env: environment()})
	want(t, "without a home", err.Error(), "no key of the platform: set VECTORSHIFT_API_KEY")
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	const advice = ": set VECTORSHIFT_BASE_URL to one such as https://api.vectorshift.ai/v1, or leave it out"
	for _, test := range []struct{ given, env, want, err string }{
		{want: "https://api.vectorshift.ai/v1"},
		{env: " http://127.0.0.1:8080/v1/\n", want: "http://127.0.0.1:8080/v1"},
		{given: "https://h", env: "https://other", want: "https://h"},
		{given: "HTTPS://h/a%2Fb//", want: "https://h/a%2Fb"},
		{given: "http://[::1]:8080", want: "http://[::1]:8080"},
		{given: "https://h?", want: "https://h"},
		{given: "h:8080/v1", err: "the base URL of the platform, h:8080/v1, is none" + advice},
		{given: "api.vectorshift.ai/v1", err: "the base URL of the platform, api.vectorshift.ai/v1, is none" + advice},
		{given: "ftp://user:secret@h", err: "the base URL of the platform, ftp://user:xxxxx@h, is none" + advice},
		{given: "https://", err: "the base URL of the platform, https:, is none" + advice},
		{given: "https://:80", err: "the base URL of the platform, https://:80, is none" + advice},
		{given: "https://h:secret", err: "the base URL of the platform cannot be read" + advice},
		{given: "https://user:secret@h", err: "the base URL of the platform may have host and path alone, no user, query or fragment" + advice},
		{given: "https://h?key=secret", err: "the base URL of the platform may have host and path alone, no user, query or fragment" + advice},
		{given: "https://h#secret", err: "the base URL of the platform may have host and path alone, no user, query or fragment" + advice},
	} {
		c, err := New(Options{BaseURL: test.given, Key: testKey, Env: environment("VECTORSHIFT_BASE_URL", test.env)})
		if err != nil {
			want(t, test.given, err.Error(), test.err)
			continue
		}
		want(t, test.given, c.baseURL, test.want)
		want(t, test.given, "", test.err)
	}
}

// Nobody prints the key by printing what holds it.
func TestKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	const key = "sk_0123456789abcdef"
	o := Options{Key: key, BaseURL: "https://h/v1", Env: environment()}
	c := newClient(t, o)
	p := c.Pipeline("p")
	for name, v := range map[string]any{
		"options": o, "options, by pointer": &o, "options in a struct": struct{ O Options }{o},
		"client": *c, "client, by pointer": c, "client in a struct": struct{ c Client }{*c},
		"handle": *p.client.Handle("p", "t", ""), "pipeline": *p, "backend": NewBackend(c, ""), "hider": c.hide,
	} {
		var shown strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x"} {
			fmt.Fprintf(&shown, verb+"\n", v)
		}
		for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
			slog.New(handler).Info("here", "value", v)
		}
		for _, form := range []string{key, hex.EncodeToString([]byte(key)), strings.ToUpper(hex.EncodeToString([]byte(key))), fmt.Sprintf("% x", key)} {
			if strings.Contains(shown.String(), form) {
				t.Errorf("%s: %s", name, shown.String())
			}
		}
	}
	want(t, "options", strings.Contains(fmt.Sprintf("%+v", o), "BaseURL:https://h/v1 Key:[hidden]"), true)
	want(t, "key", c.Key(), key)
}
