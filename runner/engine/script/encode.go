package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dop251/goja"

	"nightshift/spec"
)

// encoder writes values as JSON, as JSON.stringify does, but nothing gets lost
// on the way: what has no form in JSON is an error that says where it stands.
type encoder struct {
	rt      *goja.Runtime
	most    int
	out     []byte
	path    []step
	around  []*goja.Object // objects that the value is inside of
	isArray goja.Callable
}

// step is a part of the way to a value: a name as it is written, or an index.
type step struct {
	name  string
	index int64
}

func where(path []step) string {
	var b strings.Builder
	for _, s := range path {
		if s.name != "" {
			b.WriteString(s.name)
		} else {
			fmt.Fprintf(&b, "[%d]", s.index)
		}
	}
	return b.String()
}

// maxDepth is how deep values may be nested.
const maxDepth = 1000

var errLong = errors.New("too long")

func newEncoder(rt *goja.Runtime, most int) *encoder {
	isArray, _ := goja.AssertFunction(rt.Get("Array").ToObject(rt).Get("isArray"))
	return &encoder{rt: rt, most: most, isArray: isArray}
}

func (e *encoder) is(what string) error {
	return fmt.Errorf("%s is %s, which has no form in JSON", where(e.path), what)
}

// inside writes a value that is a part of the one before.
func (e *encoder) inside(s step, v goja.Value, depth int) error {
	e.path = append(e.path, s)
	err := e.value(v, depth+1)
	if err == nil {
		e.path = e.path[:len(e.path)-1]
	}
	return err
}

func (e *encoder) value(v goja.Value, depth int) error {
	switch v := v.(type) {
	case nil:
		e.out = append(e.out, "null"...)
		return nil
	case *goja.Object:
		return e.object(v, depth)
	case *goja.Symbol:
		return e.is("a symbol")
	case goja.String:
		text := v.String()
		if strings.ContainsRune(text, utf8.RuneError) && halved(v) {
			return e.is("text with one half of a character, as a cut inside of it leaves (cut with [...text].slice(0, n).join('') instead)")
		}
		e.out = spec.AppendJSON(e.out, text)
	default:
		switch x := v.Export().(type) {
		case nil:
			e.out = append(e.out, "null"...)
		case bool:
			e.out = strconv.AppendBool(e.out, x)
		case int64:
			e.out = strconv.AppendInt(e.out, x, 10)
		case *big.Int:
			e.out = x.Append(e.out, 10)
		case float64:
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return e.is(v.String())
			}
			if x == 0 {
				x = 0 // not -0
			}
			text, err := json.Marshal(x)
			if err != nil {
				return err
			}
			e.out = append(e.out, text...)
		default:
			return e.is(fmt.Sprintf("%T", x))
		}
	}
	if len(e.out) > e.most {
		return errLong
	}
	return nil
}

// halved tells whether a text, which is UTF-16, has a half of a pair without the
// other: UTF-8 has no form for it.
func halved(s goja.String) bool {
	for i := 0; i < s.Length(); i++ {
		c := rune(s.CharAt(i))
		if !utf16.IsSurrogate(c) {
			continue
		}
		if i++; i == s.Length() || utf16.DecodeRune(c, rune(s.CharAt(i))) == utf8.RuneError {
			return true
		}
	}
	return false
}

// kind names objects that have no form in JSON; "" is any other.
func kind(o *goja.Object) string {
	name := o.ClassName()
	if name == "Object" {
		if tag, ok := o.GetSymbol(goja.SymToStringTag).(goja.String); ok {
			name = tag.String()
		}
	}
	switch name {
	case "Error", "RegExp", "Map", "Set", "WeakMap", "WeakSet", "WeakRef", "Promise", "Generator", "ArrayBuffer", "DataView":
		return name
	}
	if strings.HasSuffix(name, " Iterator") || strings.HasSuffix(name, "Array") && name != "Array" { // of numbers
		return name
	}
	return ""
}

func (e *encoder) object(o *goja.Object, depth int) error {
	if _, ok := goja.AssertFunction(o); ok {
		return e.is("a function")
	}
	switch what := kind(o); {
	case what != "":
		return e.is("of type " + what)
	case depth > maxDepth:
		return fmt.Errorf("%s is nested more than %d deep", where(e.path[:min(3, len(e.path))]), maxDepth)
	}
	if slices.Contains(e.around, o) {
		return fmt.Errorf("%s contains itself", where(e.path))
	}
	e.around = append(e.around, o)
	defer func() { e.around = e.around[:len(e.around)-1] }()
	if toJSON, ok := goja.AssertFunction(o.Get("toJSON")); ok {
		v, err := toJSON(o, e.rt.ToValue(""))
		if err != nil {
			panic(err)
		}
		if goja.IsNull(v) && o.ClassName() == "Date" {
			return e.is("an invalid date")
		}
		return e.value(v, depth+1)
	}
	switch o.ClassName() {
	case "Number":
		return e.value(o.ToNumber(), depth)
	case "String":
		return e.value(o.ToString(), depth)
	case "Boolean":
		return e.value(e.rt.ToValue(o.Export()), depth)
	}
	if list, err := e.isArray(goja.Undefined(), o); err == nil && list.ToBoolean() {
		return e.list(o, depth)
	}
	e.out = append(e.out, '{')
	first := true
	names := o.Keys()
	for i, name := range names {
		v := o.Get(name)
		if strings.ContainsRune(name, utf8.RuneError) && (v == nil || slices.Index(names, name) < i) { // it is another name in UTF-8
			return e.is("an object with one half of a character in a name")
		}
		if v == nil || goja.IsUndefined(v) {
			continue // as JSON.stringify does
		}
		if !first {
			e.out = append(e.out, ',')
		}
		first = false
		e.out = append(spec.AppendJSON(e.out, name), ':')
		if err := e.inside(step{name: "." + name}, v, depth); err != nil {
			return err
		}
	}
	e.out = append(e.out, '}')
	return nil
}

func (e *encoder) list(o *goja.Object, depth int) error {
	e.out = append(e.out, '[')
	for i := int64(0); i < o.Get("length").ToInteger(); i++ {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		if err := e.inside(step{index: i}, o.Get(strconv.FormatInt(i, 10)), depth); err != nil {
			return err
		}
	}
	e.out = append(e.out, ']')
	return nil
}
