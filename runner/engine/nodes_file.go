package engine

import (
	"fmt"
	"path"
	"strings"

	"nightshift/spec"
)

// compileFile gives the file of the input, or the one that is stored under a name.
// Its text is looked for only where a node refers to it: not every file has one.
func compileFile(s *setup) step {
	option, name, upload := s.in("selected_option"), s.in("file_name"), s.fileIn("file")
	out, text, area := s.out("file"), s.out("processed_text"), s.engine.area
	wantsText := s.refers("processed_text")
	if wantsText {
		s.refuseParsers()
		s.refuseUnread("file")
	}
	return func(c *call) error {
		how, err := option.choice(c)
		if err != nil {
			return err
		}
		var f map[string]any
		if how == "name" {
			called := name.text(c)
			if f, err = aside(c.ctx, func() (map[string]any, error) { return area.open(called) }); err != nil {
				return fmt.Errorf("input \"file_name\": %w", err)
			}
		} else if f, err = upload.value(c); err != nil {
			return err
		}
		c.set(out, f)
		if wantsText {
			content, err := fileText(f)
			if err != nil {
				return err
			}
			c.set(text, content)
		}
		return nil
	}
}

// fileText gives the text of the plain value of a file.
func fileText(v map[string]any) (string, error) {
	f, err := decodeFile(v)
	if err != nil {
		return "", err
	}
	return f.text()
}

// compileFileToText gives the text of a file, whole or as chunks that begin at
// headings, as those of the chunking node do.
func compileFileToText(s *setup) step {
	in, chunk, out := s.fileIn("file"), s.in("chunk_text"), s.out("processed_text")
	chunks := s.chunkSizes()
	s.refuseParsers()
	s.refuseUnread("file")
	if decrypt, given := s.spec.Inputs["decrypt"]; given && decrypt != false {
		s.refuse("decrypt", "files with passwords are not read here: decrypt them before the batch (qpdf --decrypt), or use backend vectorshift")
	}
	return func(c *call) error {
		f, err := in.file(c)
		if err != nil {
			return err
		}
		text, err := f.text()
		if err != nil {
			return fmt.Errorf("input \"file\": %w", err)
		}
		cut, err := chunk.boolean(c)
		if err != nil {
			return err
		}
		if !cut {
			c.set(out, text)
			return nil
		}
		how, err := chunks.of(c)
		if err != nil {
			return err
		}
		c.set(out, how.chunks(text, firstBlock))
		return nil
	}
}

// compileTextToFile makes a file of text. Formats that are not text are refused, and
// PDF is what the platform makes where nothing is said.
func compileTextToFile(s *setup) step {
	text, name, format := s.in("text"), s.in("file_name"), s.in("file_type")
	out, typ := s.out("file"), s.out("file_type")
	const hint = "write file_type: TXT (or MD, CSV, JSON, HTML), and convert the file afterwards (pandoc), or use backend vectorshift"
	switch written, given := s.spec.Inputs["file_type"]; {
	case !given:
		s.refuse("", "file_type is PDF where it is not given, which is not written here: %s", hint)
	case written == "PDF", written == "DOCX":
		s.refuse("file_type", "file_type %s is not written here: %s", written, hint)
	}
	return func(c *call) error {
		kind, err := format.choice(c)
		if err != nil {
			return err
		}
		if kind == "PDF" || kind == "DOCX" {
			return fmt.Errorf("input \"file_type\": %s is not written here: %s", kind, hint)
		}
		called := strings.TrimSpace(name.text(c))
		if err := checkFileName(called); err != nil {
			return fmt.Errorf("input \"file_name\": %w", err)
		}
		called = withEnding(called, "."+strings.ToLower(kind))
		c.set(out, spec.FileValue(called, []byte(text.text(c))))
		c.set(typ, kind)
		return nil
	}
}

// compileFileSave stores files. The same name is written again by every run: it
// should hold something of the run's own.
func compileFileSave(s *setup) step {
	in, name, out, area := s.fileIn("files"), s.in("name"), s.out("file_name"), s.engine.area
	s.program.needs.Stores = true
	if area.dir == "" {
		s.refuse("", "%v", errNoFileArea)
	}
	return func(c *call) error {
		files, err := in.list(c)
		if err != nil {
			return err
		}
		called := strings.TrimSpace(name.text(c))
		if err := checkFileName(called); err != nil {
			return fmt.Errorf("input \"name\": %w", err)
		}
		names := make([]any, len(files))
		for i, v := range files {
			f, err := decodeFile(v)
			if err != nil {
				return fmt.Errorf("input \"files\": element %d: %w", i, err)
			}
			stored := storedName(called, i, f.name)
			if _, err := aside(c.ctx, func() (struct{}, error) { return struct{}{}, area.save(stored, f.data) }); err != nil {
				return err
			}
			area.takers.take(c.run, path.Clean(stored), f.data)
			names[i] = stored
		}
		c.set(out, names)
		return nil
	}
}
