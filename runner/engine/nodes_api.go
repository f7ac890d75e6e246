package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"nightshift/spec"
)

// compileAPI sends one request and gives the body of the answer as text.
func compileAPI(s *setup) step {
	target, method, headers, query := s.in("url"), s.in("method"), s.in("headers"), s.in("query_params")
	content := apiBody{s.in("is_raw_json"), s.in("raw_json"), s.in("body_params"), s.apiFiles(), s.engine.disk}
	mustSucceed, out := s.in("fail_non_2xx_response"), s.out("output")
	s.missPrivate(target)
	engine := s.engine
	return func(c *call) error {
		address, err := apiURL(c, target, query)
		if err != nil {
			return err
		}
		body, contentType, err := content.of(c)
		if err != nil {
			return err
		}
		check, err := mustSucceed.boolean(c)
		if err != nil {
			return err
		}
		verb, err := method.choice(c)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(c.ctx, verb, address.String(), bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("the request cannot be made: %w", bare(err))
		}
		if err := addHeaders(c, headers, req); err != nil {
			return err
		}
		if strings.HasPrefix(contentType, "multipart/") || body != nil && req.Header.Get("Content-Type") == "" {
			req.Header.Set("Content-Type", contentType) // nobody else knows what parts the parts
		}
		got, err := engine.fetch(req)
		switch {
		case err != nil:
			return err
		case !utf8.Valid(got.body):
			return &webError{class: "bad_answer", err: fmt.Errorf("%s %s: the answer is not text in UTF-8", req.Method, address.Host)}
		case check && (got.status < 200 || got.status > 299):
			return notFine(req, got)
		}
		c.set(out, string(got.body))
		return nil
	}
}

// escapeInvalid escapes what must not stand in a request line. All else is left
// as the author wrote it: the query may be signed.
func escapeInvalid(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func apiURL(c *call, target, query input) (*url.URL, error) {
	address, err := webAddress(target, target.text(c))
	if err != nil {
		return nil, err
	}
	address.RawQuery = escapeInvalid(address.RawQuery)
	params, err := query.pairs(c)
	if err != nil {
		return nil, err
	}
	for _, p := range params { // behind what is there, which is not touched: it may be signed
		if address.RawQuery != "" {
			address.RawQuery += "&"
		}
		address.RawQuery += url.QueryEscape(p.key) + "=" + url.QueryEscape(spec.Text(p.value))
	}
	return address, nil
}

// apiBody is what the body of a request is made of: raw JSON, or parameters, which
// are one JSON object or, where there are files, fields of a form.
type apiBody struct {
	isRaw, raw, params, files input

	disk disk
}

// of gives the body of a call and its type; nil where there is nothing to send.
func (b apiBody) of(c *call) (body []byte, contentType string, err error) {
	useRaw, err := b.isRaw.boolean(c)
	if err != nil {
		return nil, "", err
	}
	files, err := b.files.pairs(c)
	switch {
	case err != nil:
		return nil, "", err
	case useRaw && len(files) > 0:
		return nil, "", errors.New("raw JSON and files do not go into one request: give body_params, or no files")
	case useRaw:
		return []byte(b.raw.text(c)), "application/json", nil
	}
	fields, err := b.params.pairs(c)
	switch {
	case err != nil:
		return nil, "", err
	case len(files) > 0:
		return b.form(c.ctx, fields, files)
	case len(fields) == 0:
		return nil, "", nil
	}
	var object orderedObject
	for _, p := range fields {
		object.set(p.key, spec.AppendJSON(nil, p.value))
	}
	return []byte(object.String()), "application/json", nil
}

// apiFiles gives the input of {key, value: file}.
func (s *setup) apiFiles() input {
	list, written := s.spec.Inputs["files"].([]any)
	if !written {
		return s.in("files")
	}
	list = slices.Clone(list)
	for i, item := range list {
		if fields, ok := item.(map[string]any); ok {
			fields = maps.Clone(fields)
			fields["value"] = s.authorsFiles("files", fields["value"], false)
			list[i] = fields
		}
	}
	return input{name: "files", template: s.elements("files", list)}
}

// form makes a form of fields and files, in their order.
func (b apiBody) form(ctx context.Context, fields, files []pair) (body []byte, contentType string, err error) {
	var buf bytes.Buffer
	form := multipart.NewWriter(&buf)
	for _, p := range fields {
		if err := form.WriteField(p.key, spec.Text(p.value)); err != nil {
			return nil, "", err
		}
	}
	for i, p := range files {
		value, err := openValue(ctx, p.value, b.disk)
		if err != nil {
			return nil, "", fmt.Errorf("input \"files\": element %d: %w", i, err)
		}
		f, err := decodeFile(value)
		if err != nil {
			return nil, "", fmt.Errorf("input \"files\": element %d: %w", i, err)
		}
		part, err := form.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {multipart.FileContentDisposition(p.key, f.name)},
			"Content-Type":        {f.mime},
		})
		if err != nil {
			return nil, "", err
		}
		if _, err := part.Write(f.data); err != nil {
			return nil, "", err
		}
	}
	if err := form.Close(); err != nil {
		return nil, "", err
	}
	return buf.Bytes(), form.FormDataContentType(), nil
}

func addHeaders(c *call, headers input, req *http.Request) error {
	pairs, err := headers.pairs(c)
	for _, p := range pairs {
		if value := spec.Text(p.value); strings.EqualFold(p.key, "Host") {
			req.Host = value // net/http passes over the header
		} else {
			req.Header.Add(p.key, value)
		}
	}
	return err
}
