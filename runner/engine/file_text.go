package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"nightshift/spec"
)

// text gives the text of a file: HTML as Markdown without what stands around the
// content, all else that is text as it is. UTF-8 and, with a byte order mark,
// UTF-16 are read.
func (f file) text() (string, error) {
	text, err := decodeText(f.data)
	if err != nil {
		if instead := insteadOf(f.name, f.data); instead != "" {
			return "", fmt.Errorf("the file %s is %s", f.name, instead)
		}
		return "", fmt.Errorf("the file %s %w", f.name, err)
	}
	if strings.HasPrefix(text, "%PDF-") {
		return "", fmt.Errorf("the file %s is %s", f.name, insteads()[".pdf"])
	}
	if f.mime == "text/html" || f.mime == "application/xhtml+xml" {
		if text, err = readable(text, nil); err != nil {
			return "", fmt.Errorf("the file %s: %w", f.name, err)
		}
	}
	return text, nil
}

// decodeText gives text of its bytes, without a byte order mark.
func decodeText(data []byte) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(data, []byte("\x00\x00\xfe\xff")):
		return "", fmt.Errorf("is in UTF-32; convert it to UTF-8 first (iconv -f UTF-32 -t UTF-8)")
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return decodeUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return decodeUTF16(data[2:], binary.BigEndian)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch kind := unmarkedUTF16(data); {
	case kind != "":
		return "", fmt.Errorf("seems to be in UTF-16 without a byte order mark; convert it first (iconv -f %s -t UTF-8)", kind)
	case bytes.IndexByte(data, 0) >= 0:
		return "", fmt.Errorf("is no text: it holds zero bytes")
	case !utf8.Valid(data):
		return "", fmt.Errorf("is not text in UTF-8; convert it first (iconv -f WINDOWS-1252 -t UTF-8, or whatever it is in)")
	}
	return string(data), nil
}

// unmarkedUTF16 names the UTF-16 that bytes likely are, of which every other one is
// zero as in most languages of the West; "" where they are not.
func unmarkedUTF16(data []byte) string {
	data = data[:min(len(data), 512)&^1]
	var zeros [2]int
	for i, b := range data {
		if b == 0 {
			zeros[i%2]++
		}
	}
	units := len(data) / 2
	switch {
	case units < 2 || min(zeros[0], zeros[1]) > 0 || max(zeros[0], zeros[1])*10 < units*9:
		return ""
	case zeros[0] > 0:
		return "UTF-16BE"
	}
	return "UTF-16LE"
}

func decodeUTF16(data []byte, order binary.ByteOrder) (string, error) {
	if len(data)%2 != 0 {
		return "", fmt.Errorf("begins as UTF-16, but has an odd number of bytes: it was cut off")
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units)), nil
}

// insteads say what to do with files that have no text for this engine, by the
// endings of their names.
var insteads = sync.OnceValue(func() map[string]string {
	const platform = ", or use backend vectorshift"
	all := map[string]string{
		".pdf": "a PDF, which is not read here: convert it before the batch (pdftotext a.pdf)" + platform,
		".zip": "an archive, which is not read here: unpack it before the batch",
	}
	for kind, endings := range map[string]string{
		"a text document, which is not read here: convert it before the batch (pandoc -t markdown)" + platform: ".docx .doc .odt .rtf .epub .pptx .ppt",
		"a spreadsheet, which is not read here: save each sheet as CSV before the batch" + platform:            ".xlsx .xls .ods",
		"a picture, in which no text is looked for here: ask a model about it (llm_open_ai_vision)" + platform: ".png .jpg .jpeg .gif .webp .bmp .tif .tiff",
		"audio or video, which is not turned into text here: transcribe it before the batch" + platform:        ".mp3 .wav .m4a .ogg .flac .mp4 .mov .webm",
	} {
		for ending := range strings.FieldsSeq(endings) {
			all[ending] = kind
		}
	}
	return all
})

// insteadOf says what a file is that is no text, and what to do with it, by its
// first bytes or, where they fit many kinds, its name; "" where that is not known.
func insteadOf(name string, data []byte) string {
	ending := strings.ToLower(path.Ext(name))
	seen := http.DetectContentType(data)
	kind, _, _ := strings.Cut(seen, "/")
	switch {
	case seen == "application/pdf":
		return insteads()[".pdf"]
	case kind == "image":
		return insteads()[".png"]
	case kind == "audio", kind == "video":
		return insteads()[".mp3"]
	case bytes.HasPrefix(data, []byte("PK\x03\x04")) || bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0")): // new and old documents of offices
		switch {
		case insteads()[ending] != "":
			return insteads()[ending]
		case bytes.Contains(data, []byte("word/")):
			return insteads()[".docx"]
		case bytes.Contains(data, []byte("xl/")):
			return insteads()[".xlsx"]
		}
		return insteads()[".zip"]
	}
	return ""
}

// refuseUnread refuses files that are named in an input and hold no text, as their
// names say.
func (s *setup) refuseUnread(input string) {
	var look func(v any)
	look = func(v any) {
		name, _, _ := spec.NamedFile(v)
		switch v := v.(type) {
		case string:
			name = v
		case []any:
			for _, item := range v {
				look(item)
			}
		}
		if instead := insteads()[strings.ToLower(path.Ext(strings.TrimSpace(name)))]; instead != "" && !strings.Contains(name, "{{") {
			s.refuse(input, "input %q: the file %s is %s", input, path.Base(name), instead)
		}
	}
	look(s.spec.Inputs[input])
}

// refuseParsers refuses to have a file read by a service of the platform.
func (s *setup) refuseParsers() {
	if parser, given := s.spec.Inputs["file_parser"]; given && parser != "default" {
		s.refuse("file_parser", "file_parser %s is a service of the platform: leave it out, as text, CSV, Markdown and HTML are read without one, or use backend vectorshift", spec.Text(parser))
	}
}
