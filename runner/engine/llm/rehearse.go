package llm

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"nightshift/runner"
	"nightshift/spec"
)

// Rehearsal stands in for calls that would be paid, or go outside: it takes the
// time that they take, and lets some of them fail. It is safe for concurrent use.
type Rehearsal struct {
	spec.Rehearse
	chance func() float64 // from 0 to 1
}

// NewRehearsal makes one of what a batch file says of such calls.
func NewRehearsal(how spec.Rehearse) *Rehearsal { return &Rehearsal{how, rand.Float64} }

// Call takes as long as one call does, and tells whether it is one of those that
// fail. The error is that of ctx.
func (r *Rehearsal) Call(ctx context.Context) (failed bool, err error) {
	return r.fails(), runner.Sleep(ctx, r.latency())
}

func (r *Rehearsal) latency() time.Duration { return r.Quantile(r.chance()) }

func (r *Rehearsal) fails() bool { return r.Failures > 0 && r.chance() < r.Failures }

// pieces is how many an imitated stream has at the most.
const pieces = 20

// asker answers in the place of a model. What it makes holds no part of what the
// redactor hides.
func (r *Rehearsal) asker(call Call, hide *spec.Redactor) asker {
	return func(ctx context.Context, w *wire, req Request, text func(string)) (Answer, error) {
		all := r.latency()
		first := all
		if req.Stream && call.Text != nil {
			first = all / 2
		}
		failed := r.fails()
		if err := runner.Sleep(ctx, first); err != nil {
			return Answer{}, err
		}
		if failed {
			return Answer{}, w.unavailable()
		}
		answer := madeAnswer(req, call, hide)
		if first == all {
			return answer, nil
		}
		parts := strings.SplitAfter(answer.Text, " ")
		for i := range pieces {
			if err := runner.Sleep(ctx, (all-first)/pieces); err != nil {
				return Answer{}, err
			}
			text(strings.Join(parts[len(parts)*i/pieces:len(parts)*(i+1)/pieces], ""))
		}
		return answer, nil
	}
}

// unavailable is the answer of a call that fails in a rehearsal.
func (w *wire) unavailable() error {
	return &runner.APIError{
		StatusCode: http.StatusServiceUnavailable, Method: http.MethodPost, Endpoint: runner.Endpoint(w.url),
		Message: "this call was let fail, as rehearse.failures asks for",
	}
}

// How much text takes how many tokens, and how long answers are: the cost that a
// rehearsal tells of is an estimate.
const (
	tokenChars  = 4
	imageTokens = 1000
	answerChars = 400
)

func tokens(texts ...string) int64 {
	chars := 0
	for _, text := range texts {
		chars += utf8.RuneCountInString(text)
	}
	return int64((chars + tokenChars - 1) / tokenChars)
}

// madeAnswer is what a model that was not asked says: one and the same to the same
// request. It passes the check, as far as that can be had. Secrets are hidden before
// words are taken of a text: of one that is cut, nobody finds what is left.
func madeAnswer(r Request, call Call, hide *spec.Redactor) Answer {
	a := Answer{InputTokens: tokens(r.System, r.Prompt, string(r.Schema)) + int64(len(r.Images)*imageTokens)}
	r.System, r.Prompt = hide.Text(r.System), hide.Text(r.Prompt)
	if wantsJSON := r.JSON || strings.Contains(strings.ToLower(r.System+r.Prompt), "json"); !wantsJSON {
		most := answerChars
		if r.MaxTokens > 0 {
			most = min(most, r.MaxTokens*tokenChars)
		}
		a.Text = wordsOf(r.Prompt+" "+r.System, 0, most)
	}
	for s := style(0); s < styles && (a.Text == "" || r.JSON && judge(a, r, call) != nil); s++ {
		a.Text = madeJSON(r, s)
	}
	if r.JSON && judge(a, r, call) != nil {
		a.Text = madeJSON(r, 0) // nothing passes: this looks like an answer at least
	}
	a.OutputTokens = tokens(a.Text)
	return a
}

// wordsOf repeats a text from its n-th word on, until it has so many characters.
func wordsOf(text string, n, chars int) string {
	if len(text) > 4*answerChars { // more is not needed
		text = strings.ToValidUTF8(text[:4*answerChars], "")
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		words = []string{"rehearsal"}
	}
	var said []rune
	for i := n; len(said) < chars; i++ {
		said = append(said, []rune(words[i%len(words)]+" ")...)
	}
	return strings.TrimSpace(string(said[:chars]))
}
