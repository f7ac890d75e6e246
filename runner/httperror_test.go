package runner

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the clock stands still
		now := time.Now()
		for _, test := range []struct {
			header map[string]string
			delay  string
			want   time.Duration
		}{
			{header: nil},
			{header: map[string]string{"Retry-After": "12"}, want: 12 * time.Second},
			{header: map[string]string{"Retry-After": "0.5"}, want: 500 * time.Millisecond},
			{header: map[string]string{"Retry-After": "0"}},
			{header: map[string]string{"Retry-After": "-3"}},
			{header: map[string]string{"Retry-After": "90000"}}, // more than a day
			{header: map[string]string{"Retry-After": "1e300"}},
			{header: map[string]string{"Retry-After": "99999999999999999999"}},
			{header: map[string]string{"Retry-After": "NaN"}},
			{header: map[string]string{"Retry-After": "Inf"}},
			{header: map[string]string{"Retry-After": "soon"}},
			{header: map[string]string{"Retry-After": now.Add(time.Minute).UTC().Format(http.TimeFormat)}, want: time.Minute},
			{header: map[string]string{"Retry-After": now.Add(-time.Minute).UTC().Format(http.TimeFormat)}},
			{header: map[string]string{"Retry-After-Ms": "1500", "Retry-After": "2"}, want: 1500 * time.Millisecond},
			{header: map[string]string{"Retry-After-Ms": "-1", "Retry-After": "2"}, want: 2 * time.Second},
			{delay: "19.5s", want: 19500 * time.Millisecond},
			{header: map[string]string{"Retry-After": "2"}, delay: "19s", want: 2 * time.Second},
			{header: map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "6m0s", "X-Ratelimit-Remaining-Tokens": "9", "X-Ratelimit-Reset-Tokens": "7m"}, want: 6 * time.Minute},
			{header: map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "1s", "X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "88ms"}, want: time.Second},
			{header: map[string]string{"X-Ratelimit-Reset-Requests": "1s"}},
			{header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "30"}, want: 30 * time.Second},
			{header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": fmt.Sprint(now.Unix() + 40)}, want: 40 * time.Second},
			{header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": fmt.Sprint(now.UnixMilli() + 1500)}, want: 1500 * time.Millisecond},
			{header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": now.Add(time.Minute).UTC().Format(time.RFC3339)}, want: time.Minute},
			{header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": fmt.Sprint(now.Unix() - 40)}},
			{header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": fmt.Sprint(now.Unix() + 100_000)}},
			{header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1e300"}},
			{header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "NaN"}},
			{header: map[string]string{"X-Ratelimit-Remaining": "0"}},
			{header: map[string]string{"X-Ratelimit-Remaining": "3", "X-Ratelimit-Reset": "30"}},
			{header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "30", "Retry-After": "7"}, want: 7 * time.Second},
			{header: map[string]string{"Anthropic-Ratelimit-Input-Tokens-Remaining": "0", "Anthropic-Ratelimit-Input-Tokens-Reset": now.Add(30 * time.Second).UTC().Format(time.RFC3339)}, want: 30 * time.Second},
		} {
			h := http.Header{}
			for name, value := range test.header {
				h.Set(name, value)
			}
			want(t, fmt.Sprint(test.header, test.delay), RetryAfter(h, test.delay), test.want)
		}
	})
}

func TestReadRefusalOfPages(t *testing.T) {
	t.Parallel()
	for body, wanted := range map[string]string{
		"<html><TITLE>\n Bad  Gateway &amp; more</TITLE >": "Bad Gateway & more",
		"<html><title></title><p>down</p>":                 "down",
		"<!doctype html><script>a<b</script ><style>p{}</style><BODY class=a><!-- <p --><h1>down</h1>for <b>repair</b>": "down for repair",
		"<a":                            "<a",
		strings.Repeat("<script", 9000): strings.Repeat("<script", 9000)[:300] + "…",
		`<Error><Code>AccessDenied</Code></Error>`: "AccessDenied",
		"a < b":                          "a < b",
		"":                               "no message",
		`{"errors": ["a", "b"]}`:         "a; b",
		`{"error": ["a", "b"]}`:          "a; b",
		`{"error": ["a", {"b": 1}]}`:     `["a",{"b":1}]`,
		`{"errors": "a", "detail": "b"}`: "b",
		`"quoted"`:                       `"quoted"`,
		`null`:                           `null`,
	} {
		want(t, body, Quote(ReadRefusal([]byte(body)).Message), wanted)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for text, wanted := range map[string]string{
		"as it is":                    "as it is",
		" a\r\n\tb\x00 c\u2028d\n":    "a b c d",
		"\x1b[31mred\x1b[0m \u202eab": "[31mred [0m ab",
		"\xff":                        "\ufffd",
		"a text of 20 letters":        "a text of 20 letters",
		"a text of 21 letters.":       "a text of 21 letters…",
		"äöüäöüäöüäöüäöüäöüäöü": "äöüäöüäöüäöüäöüäöüäö…",
	} {
		want(t, text, OneLine(text, 20), wanted)
	}
}

// Whatever an answer says, it can be shown as one line.
func FuzzReadRefusal(f *testing.F) {
	for _, seed := range []string{`{"error": {"message": "no", "details": [{"retryDelay": "1s"}]}}`, `[{"error": "a"}]`, "<title>a</title>", "<script", "\x1b[1m\u202e\xff", "{}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		said := ReadRefusal(body)
		line := Quote(said.Message)
		if utf8.RuneCountInString(line) > maxMessage+1 || !utf8.ValidString(line) || line != strings.TrimSpace(line) {
			t.Errorf("%q", line)
		}
		for _, r := range line {
			if unicode.IsControl(r) || r == '\u202e' {
				t.Errorf("%q holds %q", line, r)
			}
		}
		said.Limits(nil)
		if wait := RetryAfter(http.Header{"Retry-After": {string(body)}}, said.RetryDelay); wait < 0 || wait > 24*time.Hour {
			t.Errorf("to wait %v", wait)
		}
	})
}
