package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"nightshift/runner"
	"nightshift/schema"
)

// Failures are the results of one batch that did not succeed, by class of error.
type Failures struct {
	Batch        string   `json:"batch"`
	Results      string   `json:"results"` // path
	Items        int      `json:"items"`
	NotSucceeded int      `json:"not_succeeded"`
	Classes      []*Class `json:"classes"` // that of most results first
}

// Class is one class of errors.
type Class struct {
	Class   string  `json:"class"`
	Count   int     `json:"count"`
	Share   float64 `json:"share"`   // of those that did not succeed, from 0 to 1
	Example Example `json:"example"` // the first to end
}

// Example is one result of a class.
type Example struct {
	ID         string `json:"id"`
	Node       string `json:"node,omitempty"`
	StatusCode int    `json:"status_code,omitempty"`
	Message    string `json:"message"`
}

// Failed finds what failed, for each batch.
func Failed(r *Results) ([]*Failures, error) {
	var all []*Failures
	var f *Failures
	err := r.scan(func(l *runner.ScannedLine, _ place) error {
		if f == nil || f.Batch != l.Line.Batch {
			i := slices.IndexFunc(all, func(f *Failures) bool { return f.Batch == l.Line.Batch })
			if i < 0 {
				i = len(all)
				all = append(all, &Failures{Batch: l.Line.Batch, Results: r.Path, Classes: []*Class{}})
			}
			f = all[i]
		}
		f.add(l)
		return nil
	})
	for _, f := range all {
		for _, c := range f.Classes {
			c.Share = float64(c.Count) / float64(f.NotSucceeded)
		}
		slices.SortStableFunc(f.Classes, func(a, b *Class) int { return cmp.Compare(b.Count, a.Count) })
	}
	return all, err
}

func (f *Failures) add(l *runner.ScannedLine) {
	if f.Items++; l.Line.Status == runner.Succeeded {
		return
	}
	f.NotSucceeded++
	class := cmp.Or(l.Line.Class, string(l.Line.Status))
	for _, c := range f.Classes {
		if c.Class == class {
			c.Count++
			return
		}
	}
	c := &Class{Class: class, Count: 1, Example: Example{ID: l.Line.ID}}
	if result, err := runner.ParseResult(l.Raw); err == nil && result.Error != nil {
		c.Example.Node = result.Error.Node
		c.Example.StatusCode = result.Error.StatusCode
		c.Example.Message = result.Error.Message
	}
	f.Classes = append(f.Classes, c)
}

// String is a table for people.
func (f *Failures) String() string {
	if f.NotSucceeded == 0 {
		return fmt.Sprintf("%s: all of %d items succeeded\n", f.Batch, f.Items)
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	fmt.Fprintf(table, "%s: %d of %d items did not succeed\n", f.Batch, f.NotSucceeded, f.Items)
	fmt.Fprintln(table, "CLASS\tCOUNT\tSHARE\tFOR EXAMPLE")
	for _, c := range f.Classes {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", oneLine(c.Class), c.Count, share(c.Count, f.NotSucceeded), c.Example)
	}
	_ = table.Flush() // a strings.Builder takes everything
	return text.String()
}

// String is the example in one line.
func (e Example) String() string {
	const most = 120
	item := "item " + schema.Shorten(oneLine(e.ID), 60)
	if e.Node != "" && !strings.HasPrefix(e.Message, "node "+e.Node+" ") {
		item += ", node " + oneLine(e.Node)
	}
	return item + ": " + schema.Shorten(oneLine(e.Message), most)
}

// oneLine is the first line of a text, without what would move the cursor of a
// terminal or the columns of a table.
func oneLine(s string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, first))
}
