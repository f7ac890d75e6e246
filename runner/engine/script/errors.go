package script

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
)

var errDeep = errors.New("the functions of the code call one another too deeply, or without end")

// place says where in the code something is wrong, as name:line:column.
func place(name string, p file.Position) string {
	return fmt.Sprintf("%s:%d:%d", name, p.Line, p.Column)
}

// SyntaxError is a mistake in a text that is seen without running it.
type SyntaxError struct {
	Name         string // of the code
	Line, Column int    // from 1; columns are characters
	Message      string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s: %s", place(e.Name, file.Position{Line: e.Line, Column: e.Column}), e.Message)
}

// syntaxError tells the first mistake of a text.
func syntaxError(name string, err error) error {
	at := func(p file.Position, message string) error {
		return &SyntaxError{Name: name, Line: p.Line, Column: p.Column, Message: "SyntaxError: " + message}
	}
	if list, ok := errors.AsType[parser.ErrorList](err); ok && len(list) > 0 {
		return at(list[0].Position, list[0].Message)
	}
	if e, ok := errors.AsType[*goja.CompilerSyntaxError](err); ok && e.File != nil {
		return at(e.File.Position(e.Offset), e.Message)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// thrown tells what a script threw, and where.
func (l Limits) thrown(rt *goja.Runtime, name string, err error) error {
	if _, ok := errors.AsType[*goja.InterruptedError](err); ok {
		return l.errTime()
	}
	if _, ok := errors.AsType[*goja.StackOverflowError](err); ok {
		return errDeep
	}
	e, ok := errors.AsType[*goja.Exception](err)
	if !ok {
		return err
	}
	text := describe(rt, e.Value())
	if _, isText := e.Value().(goja.String); !isText && !isError(rt, e.Value()) {
		text += " was thrown"
	}
	for _, frame := range e.Stack() {
		if frame.SrcName() == name {
			return fmt.Errorf("%s: %s", place(name, frame.Position()), text)
		}
	}
	return fmt.Errorf("%s: %s", name, text)
}

// describe gives the text of a thrown value, which may be any, and may throw
// when it is asked for it.
func describe(rt *goja.Runtime, v goja.Value) (text string) {
	text = "a value without text"
	_ = rt.Try(func() {
		o, ok := v.(*goja.Object)
		if !ok {
			text = v.String()
			return
		}
		if isError(rt, o) {
			text = o.Get("name").String() + ": " + o.Get("message").String()
			return
		}
		e := newEncoder(rt, 1000)
		if e.value(o, 0) == nil {
			text = string(e.out)
		}
	})
	const most = 1000
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}

// isError tells whether a value is what has a name and a message.
func isError(rt *goja.Runtime, v goja.Value) (is bool) {
	o, ok := v.(*goja.Object)
	_ = rt.Try(func() { is = ok && o.Get("name") != nil && o.Get("message") != nil })
	return is
}

// fromPanic is what went wrong where the engine itself gave up.
func (l Limits) fromPanic(x any) error {
	err, ok := x.(error)
	if !ok {
		err = fmt.Errorf("%v", x)
	}
	if _, ok := errors.AsType[*goja.InterruptedError](err); ok {
		return l.errTime()
	}
	if _, ok := errors.AsType[*goja.StackOverflowError](err); ok {
		return errDeep
	}
	for _, demand := range []string{"makeslice: ", "Grow: negative count", "too large", "overflow"} {
		if strings.Contains(err.Error(), demand) { // of more memory than a number of bytes can tell
			return l.errMemory()
		}
	}
	return fmt.Errorf("the JavaScript engine failed: %w", err)
}
