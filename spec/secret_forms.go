package spec

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// formsOf gives the forms in which a text may turn up.
func formsOf(v string) []string {
	var forms []string
	for _, variant := range variants(v) {
		for _, form := range escaped(variant) {
			forms = append(forms, escaped(form)...) // JSON text inside of JSON text
		}
	}
	return forms
}

// minPassword is the shortest password that is hidden where an address that holds
// it is a secret.
const minPassword = 8

// parts gives what turns up of a secret without the rest of it: the words that are
// as long as a key, such as the lines of a certificate, and of an address the
// password, the path and the query.
func parts(v string) []string {
	var list []string
	add := func(part string, least int) {
		if len(part) >= least && part != v {
			list = append(list, part)
		}
	}
	for word := range strings.FieldsSeq(v) {
		add(word, minKey)
	}
	if address, err := url.Parse(v); err == nil && address.Host != "" {
		password, _ := address.User.Password()
		add(password, minPassword)
		add(address.EscapedPath(), minKey)
		add(address.Path, minKey)
		add(address.RawQuery, minKey)
	}
	return list
}

// variants gives a text as it is, in one line, as it stands in an address and in a
// page, and as base64.
func variants(v string) []string {
	address := url.URL{Path: v, Fragment: v}
	page := html.EscapeString(v)
	list := []string{
		v, strings.Join(strings.Fields(v), " "), url.QueryEscape(v), url.PathEscape(v), address.EscapedPath(), address.EscapedFragment(), url.User(v).String(),
		page, strings.ReplaceAll(page, "&#34;", "&quot;"),
	}
	for _, form := range escaped(v) {
		list = append(list, inBase64(form)...)
	}
	return list
}

// minBase64 is the shortest text that is looked for in base64: less of that would
// turn up by chance, as in pictures.
const minBase64 = 8

// inBase64 gives what base64 makes of a text wherever it stands in a longer one,
// such as the user name and the password of a header. The characters at its ends
// in which its neighbours have a part are not among it.
func inBase64(v string) []string {
	if len(v) < minBase64 {
		return nil
	}
	var forms []string
	for shift := range 3 {
		text := append(make([]byte, shift), v...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			forms = append(forms, encoding.EncodeToString(text)[(8*shift+5)/6:8*len(text)/6])
		}
	}
	return forms
}

// escaped gives a text as it is, as it stands inside JSON text (with and
// without < escaped), and inside a quoted message.
func escaped(v string) []string {
	marshalled, _ := json.Marshal(v)
	forms := []string{v}
	for _, quoted := range []string{string(marshalled), string(AppendJSON(nil, v)), strconv.Quote(v), strconv.QuoteToASCII(v)} {
		if inner := quoted[1 : len(quoted)-1]; !slices.Contains(forms, inner) {
			forms = append(forms, inner)
		}
	}
	return forms
}
