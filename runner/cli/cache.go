package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner/engine/llm"
)

func newCache(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "look at the answers of models that are kept, or remove them",
		Long: `Answers of models are kept in a file, so that what was asked once is not paid
twice: answers.db in the state folder, or what run.cache.path names. A new
answer is asked for, and kept, with run --fresh.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return &exitError{code: exitUsage}
		},
	}
	cmd.AddCommand(newCacheStats(std), newCacheClear(std))
	return cmd
}

func newCacheStats(std streams) *cobra.Command {
	var o cacheOptions
	var asJSON bool
	cmd := o.command("stats", "count the answers that are kept, by provider and model")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		stats := llm.CacheStats{Models: []llm.ModelStats{}}
		path, err := o.with(args, std, func(c *llm.Cache) (err error) {
			stats, err = c.Stats()
			return err
		})
		if err != nil {
			return err
		}
		out := std.err.redact.Writer(std.out)
		if asJSON {
			return json.NewEncoder(out).Encode(stats)
		}
		if stats.Answers == 0 {
			fmt.Fprintf(std.err, "%s: no answers are kept yet\n", path)
			return nil
		}
		return tellCache(out, stats)
	}
	return cmd
}

func newCacheClear(std streams) *cobra.Command {
	var o cacheOptions
	var olderThan time.Duration
	cmd := o.command("clear", "remove answers that are kept, and give their space back")
	cmd.Flags().DurationVar(&olderThan, "older-than", 0, "remove only answers older than this `time`, such as 720h")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if olderThan <= 0 && cmd.Flags().Changed("older-than") {
			return fmt.Errorf("--older-than must be more than 0; leave it out to remove all answers")
		}
		removed := 0
		path, err := o.with(args, std, func(c *llm.Cache) (err error) {
			removed, err = c.Clear(olderThan)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(std.err, "%s: %d %s removed\n", path, removed, plural(removed, "answer", "answers"))
		return nil
	}
	return cmd
}

// cacheOptions say which cache is meant.
type cacheOptions struct {
	fileOptions
	path string
}

func (o *cacheOptions) command(name, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use:               name + " {FILE | --path DB}",
		Short:             short,
		Args:              o.args,
		ValidArgsFunction: batchFileArgs,
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.path, "path", "", "the `file` of the cache itself, instead of the batch file that uses it")
	return cmd
}

// args wants a batch file or --path.
func (o *cacheOptions) args(cmd *cobra.Command, args []string) error {
	switch {
	case !cmd.Flags().Changed("path"):
		return oneFile(cmd, args)
	case o.path == "":
		return errors.New("--path must name a file")
	case len(args) > 0:
		return fmt.Errorf("a batch file and --path exclude each other; usage: %s", cmd.UseLine())
	}
	return nil
}

// with calls f with the cache that is meant, and gives its path; where nothing
// has been kept yet, f is not called and no file is made.
func (o *cacheOptions) with(args []string, std streams, f func(*llm.Cache) error) (path string, err error) {
	path = o.path
	if path == "" {
		file, problems, err := o.read(args[0], std)
		if err != nil {
			return "", err
		}
		if errs, _ := problems.Split(); len(errs) > 0 {
			return "", &exitError{exitUsage, errs}
		}
		path = file.CachePath(o.env)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if o.path != "" {
			return path, fmt.Errorf("there is no file %s", path)
		}
		return path, nil
	}
	c, err := llm.OpenCache(path, 0)
	if err != nil {
		return path, err
	}
	return path, errors.Join(f(c), c.Close())
}

// tellCache prints a table for people.
func tellCache(out io.Writer, s llm.CacheStats) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "PROVIDER\tMODEL\tANSWERS\tINPUT TOKENS\tOUTPUT TOKENS\tTIMES USED")
	for _, m := range s.Models {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\n", m.Provider, m.Model, m.Answers, m.InputTokens, m.OutputTokens, m.Used)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	const minute = "2006-01-02 15:04"
	_, err := fmt.Fprintf(out, "\n%d %s, kept from %s to %s, in %.1f MB\n",
		s.Answers, plural(int(s.Answers), "answer", "answers"), s.Oldest.Format(minute), s.Newest.Format(minute), float64(s.Bytes)/1e6)
	return err
}
