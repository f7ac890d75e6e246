package runner

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"nightshift/schema"
	"nightshift/spec"
)

// Limits on what is read of an answer that is no success: its status says most.
const (
	maxRefusal  = 64 << 10
	refusalWait = 2 * time.Second
)

const maxMessage = 300 // characters

// ReadRefusedBody reads the body of an answer that is no success, and closes it. It
// gives what there is of it within 2 s, and at most 64 KB; whole tells whether
// that is all.
func ReadRefusedBody(body io.ReadCloser) (read []byte, whole bool) {
	defer body.Close()
	late := time.AfterFunc(refusalWait, func() { _ = body.Close() })
	defer late.Stop()
	read, err := io.ReadAll(io.LimitReader(body, maxRefusal+1))
	if len(read) > maxRefusal {
		return read[:maxRefusal], false
	}
	return read, err == nil
}

// ReadWithin reads from a body, and closes it where nothing comes for that long:
// the error is then one of a timeout. Zero waits for ever.
func ReadWithin(body io.ReadCloser, p []byte, silence time.Duration) (int, error) {
	if silence == 0 {
		return body.Read(p)
	}
	late := time.AfterFunc(silence, func() { _ = body.Close() })
	n, err := body.Read(p)
	if !late.Stop() && err != nil {
		err = fmt.Errorf("nothing came for %v: %w", silence, os.ErrDeadlineExceeded)
	}
	return n, err
}

// NewConnectionError says that a call has no answer or, where that had begun, that it ended
// too early. Within is how long it was waited for, for the message.
func NewConnectionError(method, endpoint string, err error, began bool, within time.Duration) *ConnectionError {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the rest is said by the ConnectionError
	}
	timeout, ok := errors.AsType[net.Error](err)
	e := &ConnectionError{
		Method: method, Endpoint: endpoint, Timeout: ok && timeout.Timeout(), Began: began, Unsent: !began && unsent(err), Err: err,
	}
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	late := errors.Is(err, context.DeadlineExceeded) && !e.Unsent
	switch {
	case ended && began:
		e.Err = errors.New("the answer broke off")
	case ended:
		e.Err = errors.New("the connection was closed without an answer")
	case late && began:
		e.Err = fmt.Errorf("the answer was not whole within %v", within)
	case late:
		e.Err = fmt.Errorf("no answer within %v", within)
	}
	return e
}

// unsent tells whether there was not even a connection.
func unsent(err error) bool {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "dial" || unsent(op.Err)) // to a proxy, it is within another
}

// Endpoint is what messages show of a URL: host and path.
func Endpoint(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	rest, _, _ = strings.Cut(rest, "?")
	return rest
}

// Quote makes one line, not a long one, of the words of the other side. Secrets are
// to be taken out before: of one that is cut nothing would be found.
func Quote(words string) string { return OneLine(words, maxMessage) }

// OneLine makes one line of a text, of that many characters at most, without any that
// move the cursor of a terminal or turn the direction of text.
func OneLine(words string, most int) string {
	words = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(words, "\uFFFD"))
	return schema.Shorten(strings.Join(strings.Fields(words), " "), most)
}

// Refusal is what the body of an answer that is no success says. What it does not
// say is "", but for the message.
type Refusal struct {
	Message    string // as it came: see [Quote]
	Kind, Code string
	RetryDelay string // of Google's, a duration
	Reason     string // of Google's, a code
}

// ReadRefusal understands the forms that are in use: {"error": {"message": ...}},
// the same in a list, {"error": "..."}, {"message": ...}, {"detail": ...},
// {"errors": ...}, a page with a title, and any text.
func ReadRefusal(body []byte) Refusal {
	body = bytes.TrimSpace(body)
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && len(list) > 0 {
		body = list[0]
	}
	type words struct {
		Message any `json:"message"`
		Type    any `json:"type"`
		Code    any `json:"code"`
		Details []struct {
			RetryDelay string `json:"retryDelay"`
			Reason     string `json:"reason"`
		} `json:"details"`
	}
	var outer struct {
		words
		Error  json.RawMessage `json:"error"`
		Detail any             `json:"detail"`
		Errors any             `json:"errors"`
	}
	if json.Unmarshal(body, &outer) != nil {
		return Refusal{Message: cmp.Or(pageText(string(body)), "no message")}
	}
	inner, message := outer.words, ""
	var told []any
	switch {
	case json.Unmarshal(outer.Error, &message) == nil:
	case json.Unmarshal(outer.Error, &told) == nil:
		message = memberText(told)
	default:
		_ = json.Unmarshal(outer.Error, &inner) // else it stays the outer one
	}
	said := Refusal{Kind: memberText(inner.Type), Code: memberText(inner.Code)}
	said.Message = cmp.Or(message, memberText(inner.Message), memberText(outer.Message), memberText(outer.Detail), memberText(outer.Errors), string(body))
	for _, d := range inner.Details {
		said.RetryDelay, said.Reason = cmp.Or(said.RetryDelay, d.RetryDelay), cmp.Or(said.Reason, d.Reason)
	}
	return said
}

// memberText gives a member of a JSON object as words; those of a list are joined.
func memberText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		var lines []string
		for _, item := range v {
			if line, ok := item.(string); ok {
				lines = append(lines, line)
			}
		}
		if len(lines) == len(v) {
			return strings.Join(lines, "; ")
		}
	}
	encoded, _ := json.Marshal(v)
	return string(encoded)
}

var (
	pageTitle = spec.Pattern(`(?is)<title[^>]*>(.*?)</title`)
	pageBody  = spec.Pattern(`(?i)<body\b`)
	pageTags  = spec.Pattern(`<[^>]*>?`)
)

// pageText gives the title of a page, else its words; any other text is given as
// it is.
func pageText(text string) string {
	if !strings.HasPrefix(text, "<") {
		return text
	}
	if title := pageTitle().FindStringSubmatch(text); title != nil && strings.TrimSpace(title[1]) != "" {
		return html.UnescapeString(title[1])
	}
	if body := pageBody().FindStringIndex(text); body != nil { // before it are styles and scripts
		text = text[body[0]:]
	}
	words := strings.TrimSpace(html.UnescapeString(pageTags().ReplaceAllString(text, " ")))
	return cmp.Or(words, text)
}

var (
	saysConcurrency = spec.Pattern(`concurren|parallel|simultaneous|in[ _-]flight`)
	saysRate        = spec.Pattern(`rate[ _-]?limit|per[ _-](second|minute|min|hour|day)|\b[rt]p[smd]\b|too many (requests|tokens)`)
)

// Limits tells what a refusal for too many calls says is too much.
func (r Refusal) Limits(header http.Header) Limits {
	words := strings.ToLower(r.Message + " " + r.Kind + " " + r.Code)
	switch {
	case saysConcurrency().MatchString(words):
		return LimitsConcurrency
	case saysRate().MatchString(words):
		return LimitsRate
	}
	for name := range header {
		if strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Anthropic-Ratelimit-") {
			return LimitsRate
		}
	}
	return LimitsUnsaid
}

// RetryAfter is how long a refusal asks to be left alone, by its header, by the
// delay that its body asks for ("": it does not), else by when the limit is lifted
// that it has used up. It is 0 where it asks for nothing that makes sense.
func RetryAfter(h http.Header, delay string) time.Duration {
	wait := cmp.Or(until(h.Get("Retry-After-Ms")+"ms"), until(h.Get("Retry-After")), until(delay))
	if wait > 0 {
		return wait
	}
	if h.Get("X-Ratelimit-Remaining") == "0" {
		wait = untilReset(h.Get("X-Ratelimit-Reset"))
	}
	for _, what := range []string{"requests", "tokens", "input-tokens", "output-tokens"} {
		for _, form := range []string{"x-ratelimit-%[2]s-%[1]s", "anthropic-ratelimit-%[1]s-%[2]s"} {
			if h.Get(fmt.Sprintf(form, what, "remaining")) == "0" {
				wait = max(wait, until(h.Get(fmt.Sprintf(form, what, "reset"))))
			}
		}
	}
	return wait
}

// until reads a wait: seconds, a duration such as 6m0s, or a time. It is 0 where
// it is none of these, is over, or so long that it must be a mistake.
func until(s string) time.Duration {
	wait, err := time.ParseDuration(s)
	if err != nil {
		wait, err = time.ParseDuration(s + "s")
	}
	for _, layout := range []string{http.TimeFormat, time.RFC3339} {
		if t, e := time.Parse(layout, s); err != nil && e == nil {
			wait, err = time.Until(t), nil
		}
	}
	return sensible(wait, err)
}

// untilReset is until, but a number may be a time too: of seconds, or of
// milliseconds, since 1970.
func untilReset(s string) time.Duration {
	seconds, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || seconds < 1e8 || seconds > 1e13:
		return until(s)
	case seconds > 1e11:
		seconds /= 1000
	}
	return sensible(time.Until(time.UnixMilli(int64(seconds*1000))), nil)
}

func sensible(wait time.Duration, err error) time.Duration {
	if err != nil || wait < 0 || wait > 24*time.Hour {
		return 0
	}
	return wait
}
