package llm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// Options are what a client works with.
type Options struct {
	Env   func(name string) (string, bool) // variables; nil: the process's environment
	Cache *Cache                           // of answers; nil: they are not kept
	HTTP  *http.Client                     // nil: one of its own
	Log   func(message string)             // what is worth a line and is no error; nil: nobody listens
	Warn  func(message string)             // what will cost something; nil: as Log

	Redactor          *spec.Redactor // answers that hold what it hides are not kept; nil: all are
	RequestsPerMinute int            // calls of all models together; 0: any number
	Rehearsal         *Rehearsal     // stands in for the models, and needs no keys; nil: they are asked
}

// Client asks language models. It is safe for concurrent use, and one is to
// serve all: connections and limiters are its.
type Client struct {
	env      func(name string) string // "": not set
	cache    *Cache
	redactor *spec.Redactor
	rehearse *Rehearsal // nil: models are asked
	budget   *budget
	http     *http.Client
	log      func(string)
	warn     func(string)
	complain sync.Once // that an answer cannot be kept

	mu       sync.Mutex
	limiters map[place]*runner.Limiter
	inWords  map[schemaAt]bool // whether a schema is put in words, where that is known
}

// place is where calls are counted together when too many are refused, and what
// they may ask for is the same.
type place struct{ url, key, model string }

// putWithin is how long an answer may take to be kept: another process may have
// locked the cache.
const putWithin = 6 * time.Second

// New makes a client. It reads variables when it is asked, not before.
func New(o Options) *Client {
	c := &Client{cache: o.Cache, redactor: o.Redactor, rehearse: o.Rehearsal, budget: newBudget(o.RequestsPerMinute), log: o.Log, limiters: map[place]*runner.Limiter{}, inWords: map[schemaAt]bool{}}
	if c.log == nil {
		c.log = func(string) {}
	}
	if c.warn = o.Warn; c.warn == nil {
		c.warn = c.log
	}
	lookup := o.Env
	if lookup == nil {
		lookup = os.LookupEnv
	}
	c.env = func(name string) string {
		value, _ := lookup(name)
		return strings.TrimSpace(value)
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: newTransport()}
	}
	c.http = new(http.Client)
	*c.http = *o.HTTP
	c.http.Timeout = cmp.Or(c.http.Timeout, callTimeout)
	// A redirect would take the key and the prompt to somewhere else.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// protocol is a way to put a request on the wire, and to read what comes back.
type protocol interface {
	// refuse says what of a request the protocol does not take.
	refuse(r Request) error
	// address is the URL that is called.
	address(base string) string
	// body is what is sent, whether the answer is to come in pieces or not.
	body(r Request, p *provider) ([]byte, error)
	// ask is an asker.
	ask(ctx context.Context, w *wire, r Request, text func(piece string)) (Answer, error)
}

// asker makes one call. What the model says goes to text when it comes in pieces.
type asker func(ctx context.Context, w *wire, r Request, text func(piece string)) (Answer, error)

// wire is one call: to where, and with what.
type wire struct {
	base, url string // of the API, and of the call
	key       string
	headers   map[string]string
	body      []byte
	http      *http.Client
	ask       asker
}

// Check says what is wrong with a request before it is made. It looks at no key.
func (c *Client) Check(r Request) error {
	_, _, err := c.prepare(r)
	return err
}

func (c *Client) prepare(r Request) (*provider, *wire, error) {
	p, err := findProvider(r.Provider)
	if err != nil {
		return nil, nil, err
	}
	if r.Model == "" {
		return nil, nil, fmt.Errorf("no model of %s is given", p.name)
	}
	if err := p.refuse(r); err != nil {
		return nil, nil, err
	}
	base, err := p.baseURL(r.BaseURL, c.env)
	if err != nil {
		return nil, nil, err
	}
	w := &wire{base: base, url: p.protocol.address(base), http: c.http, headers: map[string]string{}, ask: p.protocol.ask}
	for header, name := range p.headers {
		if value := c.env(name); value != "" {
			w.headers[header] = value
		}
	}
	return p, w, nil
}

// Ask asks a model once. What it gives but for an answer:
//
//   - *runner.HeldBack where a limiter, or the budget of calls, keeps the call for
//     later; none was made
//   - *runner.APIError and *runner.ConnectionError of the call
//   - *BadAnswer, together with the answer, which was paid for
//   - the error of ctx when it is done
//   - any other error for a request that cannot be made, as by [Client.Check]
//
// An answer that was cut at max_tokens (see [Answer]) is given where it is text,
// but neither kept nor read again. A model that refuses a schema is asked once
// more, with the schema in words, and from then on is asked so at once.
func (c *Client) Ask(ctx context.Context, r Request, call Call) (Answer, error) {
	p, w, err := c.prepare(r)
	if err != nil {
		return Answer{}, err
	}
	if w.key, err = c.Key(r); err != nil {
		return Answer{}, err
	}
	if c.rehearse != nil {
		w.ask = c.rehearse.asker(call, c.redactor)
	}
	forms, err := p.forms(w, r)
	if err != nil {
		return Answer{}, err
	}
	key := forms[0].key // in whichever form it will be answered
	// What was of use once may no longer be: a check may have changed.
	if a, ok := c.cache.Get(key, call.Since); ok && judge(a, r, call) == nil {
		a.FromCache = true
		call.say(a.Text)
		return a, nil
	}
	said := false
	text := func(piece string) {
		said = true
		call.say(piece)
	}
	f, plain := forms[0], forms[len(forms)-1] // one and the same where there is no schema
	at := schemaAt{w.place(r), string(r.Schema)}
	inWords, known := c.schemaForm(at)
	if inWords {
		f = plain
	}
	a, err := c.call(ctx, w, f, text)
	if f.key != plain.key {
		// That of an item may be refused for what it says of schemas: what has
		// worked once, or does not help, is not the matter.
		if err == nil {
			c.setSchemaForm(at, false, nil)
		} else if why := err; !said && !known && refusesSchema(why) {
			f = plain
			if a, err = c.call(ctx, w, f, text); understood(err) {
				c.setSchemaForm(at, true, why)
			}
		}
	}
	if err != nil {
		return a, err
	}
	if err := judge(a, r, call); err != nil && c.rehearse == nil { // a made answer is as good as it can be
		return a, err
	}
	if !said {
		call.say(a.Text)
	}
	if a.Cut == "" {
		c.keep(ctx, w, key, r, a)
	}
	return a, nil
}

// call makes the call, if the budget and the limiter let it. What one of them
// holds back takes nothing of the other.
func (c *Client) call(ctx context.Context, w *wire, f form, text func(string)) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	limiter := c.limiter(w.place(f.Request))
	if err := c.budget.take(ctx, func() error {
		if wait := limiter.Admit(); wait > 0 {
			return &runner.HeldBack{For: wait, Taken: limiter.Taken()}
		}
		return nil
	}); err != nil {
		return Answer{}, err
	}
	began := time.Now()
	outcome := errPanicked
	defer func() { limiter.Answered(began, outcome) }()
	w.body = f.body
	told := false
	a, err := w.ask(ctx, w, f.Request, func(piece string) {
		told = told || piece != ""
		text(piece)
	})
	if err != nil {
		err = w.failure(ctx, err, told)
	}
	if outcome = err; isBad(err) {
		outcome = nil // the call was taken
	}
	return a, err
}

// errPanicked is what a limiter is told of a call that never returned.
var errPanicked = errors.New("panicked")

func isBad(err error) bool {
	_, bad := errors.AsType[*BadAnswer](err)
	return bad
}

func (w *wire) place(r Request) place { return place{w.url, w.key, r.Model} }

func (c *Client) limiter(at place) *runner.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.limiters[at]
	if l == nil {
		l = runner.NewLimiter()
		l.OnChange = func(s runner.LimiterState) {
			if s == (runner.LimiterState{}) {
				c.log(fmt.Sprintf("calls of %s at %s go at full speed again", at.model, runner.Endpoint(at.url)))
			} else {
				c.log(fmt.Sprintf("too many calls of %s at %s are refused (429): slowed to %v", at.model, runner.Endpoint(at.url), s))
			}
		}
		c.limiters[at] = l
	}
	return l
}

// cacheKey is that of an answer: the hash of all that it depends on. The key of
// the API is left out, so that a new one does not pay again.
func (w *wire) cacheKey(body []byte) Key {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", w.url) // its path tells the protocol
	h.Write(body)
	return Key(h.Sum(nil))
}

// say hands a piece of an answer to whoever watches.
func (call Call) say(piece string) {
	if call.Text != nil && piece != "" {
		call.Text(piece)
	}
}

// keep puts an answer into the cache. One that cannot be kept is an answer all
// the same; one that repeats a secret, or the key of the API, is not kept: what
// hides them may not know that one any more when it is read.
func (c *Client) keep(ctx context.Context, w *wire, key Key, r Request, a Answer) {
	if len(w.key) >= minKey && strings.Contains(a.Text, w.key) || c.redactor.Text(a.Text) != a.Text {
		return
	}
	// It is paid for, also where its run has just been ended.
	putCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putWithin)
	defer cancel()
	if err := c.cache.Put(putCtx, key, r, a); err != nil && ctx.Err() == nil {
		c.complain.Do(func() { c.warn(fmt.Sprintf("answers are not kept, and will be paid for again: %v", err)) })
	}
}
