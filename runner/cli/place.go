package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"nightshift/runner"
	"nightshift/spec"
)

// place finds where the results of a batch go: where the date is in their path,
// into the generation that is not finished yet, whatever its date, else into
// today's.
func (o *runOptions) place(file *spec.File, b *spec.Batch, now time.Time) (*job, error) {
	j := o.placeAt(file, b, now.Format(dateForm))
	if j.dated && !o.fresh && !o.rehearse {
		if err := o.placeDated(file, b, j); err != nil {
			return nil, &exitError{exitUsage, err}
		}
	}
	return j, nil
}

// placeAt is the place of a date.
func (o *runOptions) placeAt(file *spec.File, b *spec.Batch, date string) *job {
	j := &job{batch: b, date: date, path: o.resultsPath(file, b, date), pattern: o.resultsPath(file, b, datePlaceholder)}
	if j.dated = j.pattern != j.path; j.path == "/dev/stdout" {
		j.path = "-"
	}
	if j.rehearsed = o.rehearse; o.rehearse && o.output == "" {
		j.path = rehearsalPath(j.path)
	}
	return j
}

// dateForm is that of {{ date }}.
const dateForm = "2006-01-02"

// datePlaceholder is what a path has in the place of a date.
const datePlaceholder = "{{ date }}"

func (o *runOptions) resultsPath(file *spec.File, b *spec.Batch, date string) string {
	if o.output != "" {
		return spec.FillResultsPath(o.output, date, b.Name)
	}
	return file.ResultsPath(date, b.Name)
}

// placeDated goes back to an earlier date where its generation is not finished,
// or where what failed in it is to be run again.
func (o *runOptions) placeDated(file *spec.File, b *spec.Batch, j *job) error {
	current, err := runner.ReadCurrent(file.StateDir(o.env), b.Name, j.pattern)
	if errors.Is(err, runner.ErrCurrentDamaged) {
		return fmt.Errorf("%w; remove it to go on with today's results, or give --fresh", err)
	}
	if err != nil || current == nil {
		return err
	}
	unfinished, err := runner.Unfinished(current.Results)
	if err != nil {
		return err
	}
	if _, err := os.Stat(current.Results); unfinished || o.retries && err == nil {
		j.againOnly = !unfinished && current.Date != j.date // rows that are new, or other ones now, are today's
		j.path, j.date = current.Results, current.Date
	}
	return nil
}

// isDevice tells whether a path is there and is no file, such as /dev/null.
func isDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// checkPlace refuses a results path that is a file which the batch reads.
func (o *runOptions) checkPlace(file *spec.File, path string) error {
	info, err := os.Stat(path)
	if there := err == nil; path == "-" || !there {
		return nil
	}
	for _, read := range append(file.Reads(), o.envFiles...) {
		if other, err := os.Stat(read); err == nil && os.SameFile(info, other) {
			return fmt.Errorf("results would be written over %s, which the batch reads; choose another results path", read)
		}
	}
	return nil
}

// checkSummary refuses a summary that would be written over results, what stands
// beside them, or what the batches read.
func (o *runOptions) checkSummary(file *spec.File, jobs []*job) error {
	places := slices.Clone(jobs)
	for _, b := range file.Batches { // also of those that are not run now
		places = append(places, o.placeAt(file, b, time.Now().Format(dateForm)))
	}
	taken := append(file.Reads(), o.envFiles...)
	if o.rehearse {
		taken = append(taken, o.realPlaces(file)...)
	}
	for _, j := range places {
		if j.path != "-" {
			taken = append(taken, j.path, j.path+".journal", j.path+".retry", j.path+".lock")
		}
	}
	for _, j := range jobs {
		path := j.summaryPath(o.summary)
		if info, err := os.Stat(path); err == nil && (info.IsDir() || info.Mode()&os.ModeNamedPipe != 0) {
			return fmt.Errorf("the summary cannot be written to %s, which is no file; choose another path with --summary", path)
		}
		if other := samePath(path, taken); path != "" && other != "" {
			return fmt.Errorf("the summary %s would be written over %s; choose another path with --summary", path, other)
		}
	}
	return nil
}

// samePath gives the path among others that is the same file as one, or "". Links are
// followed, whether files are there or not; {{ date }} in another stands for any date.
func samePath(path string, others []string) string {
	whole := followed(path)
	info, err := os.Stat(path)
	for _, other := range others {
		if fillsDate(followed(other), whole) {
			return other
		}
		if otherInfo, otherErr := os.Stat(other); err == nil && otherErr == nil && os.SameFile(info, otherInfo) {
			return other
		}
	}
	return ""
}

// followed is the whole path of what a path leads to, where something is there and
// where not.
func followed(path string) string {
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return filepath.Clean(path)
		}
		path = dir + string(filepath.Separator) + path // not cleaned: link/.. is not here
	}
	at, links := rootOf(path), 0
	for rest := parts(path); len(rest) > 0; {
		part := rest[0]
		if rest = rest[1:]; part == ".." {
			at = filepath.Dir(at)
			continue
		}
		at = filepath.Join(at, part)
		target, err := os.Readlink(at)
		if err != nil || links == mostLinks {
			continue
		}
		links++
		if at = filepath.Dir(at); filepath.IsAbs(target) {
			at = rootOf(target)
		}
		rest = append(parts(target), rest...)
	}
	return at
}

// mostLinks is how many links are followed: they may go round.
const mostLinks = 40

func rootOf(path string) string { return filepath.VolumeName(path) + string(filepath.Separator) }

func parts(path string) []string {
	return strings.FieldsFunc(path[len(filepath.VolumeName(path)):], func(r rune) bool { return r < utf8.RuneSelf && os.IsPathSeparator(uint8(r)) })
}

// fillsDate tells whether a path is what a pattern becomes with some date.
func fillsDate(pattern, path string) bool {
	if !strings.Contains(pattern, datePlaceholder) {
		return pattern == path
	}
	const anyDate = `\d{4}-\d{2}-\d{2}`
	written := strings.ReplaceAll(regexp.QuoteMeta(pattern), regexp.QuoteMeta(datePlaceholder), anyDate)
	return regexp.MustCompile("^" + written + "$").MatchString(path)
}

// openStream opens what results go to where they are not kept: standard output,
// or a device.
func openStream(path string, std streams) (*runner.ResultsFile, error) {
	if path == "-" {
		return runner.StreamResults("standard output", std.out), nil
	}
	return runner.DeviceResults(path)
}

// currentResults are the results of a batch that are there: those of the
// generation that it is at or, where the path has no date, the only ones.
func currentResults(o *fileOptions, file *spec.File, b *spec.Batch) (string, error) {
	today := file.ResultsPath(time.Now().Format(dateForm), b.Name)
	pattern := file.ResultsPath(datePlaceholder, b.Name)
	if !strings.Contains(pattern, datePlaceholder) {
		return today, nil
	}
	current, err := runner.ReadCurrent(file.StateDir(o.env), b.Name, pattern)
	if err != nil || current == nil {
		return today, err
	}
	return current.Results, nil
}
