package spec

import "nightshift/schema"

// Coercion says that values of one type are taken where another is wanted.
type Coercion struct {
	From, To []string // types; * is every type but path, vec<*> every list
	Why      string   // a sentence
}

// asText is what an output node wants that gives its value as text.
const asText = "text of an output node"

// asBool is what an output node wants that gives its value as true or false.
const asBool = "bool of an output node"

// Coercions is the whole list; a type goes with itself besides, and a list with a
// list where their elements go together. The rest is refused when a file is checked.
func Coercions() []Coercion { return coercions }

var coercions = []Coercion{
	{[]string{"*"}, []string{"any", "json"}, "Every value will do."},
	{[]string{"any", "json"}, []string{"*"}, "What it is shows when the pipeline runs; what does not fit fails the node then."},
	{[]string{"int32", "float", "bool", "timestamp", "stream<string>"}, []string{"string", "stream<string>"}, "It becomes text."},
	{[]string{"string"}, []string{"int32", "float", "bool", "timestamp"}, "The text is read as one; text that is none fails the node."},
	{[]string{"int32"}, []string{"float"}, "A whole number is a number."},
	{[]string{"float"}, []string{"int32"}, "The number must be whole, or the node fails."},
	{[]string{"string"}, []string{"stream<string>"}, "The text comes in one piece."},
	{[]string{"string"}, []string{"vec<*>"}, "The text must be a JSON list, or the node fails."},
	{[]string{"vec<*>"}, []string{asText}, "The result holds the list as JSON text."},
	{[]string{"path"}, []string{asText, asBool}, "The result is true, of a run that comes to it."},
	{[]string{"string"}, []string{"image"}, "The text is the address of the picture."},
	{[]string{"file"}, []string{"image", "audio"}, "The file holds it."},
	{[]string{"image", "audio"}, []string{"file"}, "It is a file."},
	{[]string{"string", "file"}, []string{"dataframe", "table"}, "It holds the table, as CSV, JSON or Markdown."},
	{[]string{"dataframe", "table"}, []string{"dataframe", "table"}, "Both are tables."},
}

// fits tells whether a value of one type is taken where another is wanted.
func fits(from, want string) bool {
	if from == want {
		return true
	}
	inner, list := schema.Element(from)
	if wanted, ok := schema.Element(want); ok && list {
		return fits(inner, wanted)
	}
	for _, c := range coercions {
		if covers(c.From, from) && covers(c.To, want) {
			return true
		}
	}
	return false
}

func covers(types []string, typ string) bool {
	_, list := schema.Element(typ)
	for _, t := range types {
		if t == typ || t == "*" && typ != "path" || t == "vec<*>" && list {
			return true
		}
	}
	return false
}

// innermost gives the type of what stands at the bottom of lists of lists.
func innermost(typ string) string {
	for {
		inner, list := schema.Element(typ)
		if !list {
			return typ
		}
		typ = inner
	}
}

// typeWords are types in the words of a message; the others stand for themselves.
var typeWords = map[string]string{
	"string": "text", "stream<string>": "text", "int32": "a whole number", "float": "a number", "bool": "true or false",
	"timestamp": "a time", "file": "a file", "image": "an image", "audio": "audio", "path": "a path",
}

func inWords(typ string) string {
	if _, list := schema.Element(typ); list {
		return "a list (" + typ + ")"
	}
	if words := typeWords[typ]; words != "" {
		return words
	}
	return "a value of type " + typ
}
