package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"nightshift/runner/report"
)

// resultsShower shows one results file after the other.
type resultsShower struct {
	*resultsOptions
	view    string
	std     streams
	shown   int
	classes []string // of errors
}

// show tells whether the file is there.
func (s *resultsShower) show(source resultsSource) (there bool, err error) {
	r, err := report.Open(source.path, func(message string) { fmt.Fprintln(s.std.err, message) })
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	r.Only = source.only
	switch s.view {
	case "export":
		return true, s.export(r)
	case "failed":
		return true, s.failed(r)
	}
	return true, s.stats(r)
}

func (s *resultsShower) stats(r *report.Results) error {
	all, err := report.Sum(r)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintf(s.std.err, "%s: there are no results in it yet\n", r.Path)
	}
	for _, stats := range all {
		if err := s.print(stats); err != nil {
			return err
		}
	}
	return nil
}

func (s *resultsShower) failed(r *report.Results) error {
	all, err := report.Failed(r)
	if err != nil {
		return err
	}
	for _, failures := range all {
		for _, c := range failures.Classes {
			if !slices.Contains(s.classes, c.Class) {
				s.classes = append(s.classes, c.Class)
			}
		}
		if err := s.print(failures); err != nil {
			return err
		}
	}
	return nil
}

func (s *resultsShower) export(r *report.Results) error {
	o := report.ExportOptions{Format: s.format, InputOrder: s.order == "input"}
	if s.output == "-" {
		return report.Export(report.NewWriter("standard output", s.std.out), r, o)
	}
	return report.ExportTo(s.output, r, o)
}

// print shows what is found out about one batch.
func (s *resultsShower) print(found fmt.Stringer) error {
	out := report.NewWriter("standard output", s.std.err.redact.Writer(s.std.out))
	if s.json {
		return json.NewEncoder(out).Encode(found)
	}
	text := found.String()
	if s.shown++; s.shown > 1 {
		text = "\n" + text
	}
	_, err := io.WriteString(out, text)
	return err
}
