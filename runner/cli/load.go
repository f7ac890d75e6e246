package cli

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nightshift/runner/engine"
	"nightshift/runner/engine/llm"
	"nightshift/runner/engine/script"
	"nightshift/schema"
	"nightshift/spec"
)

// fileOptions are the flags of every command that reads a batch file.
type fileOptions struct {
	envFiles []string
	sets     []string
	backend  string
	rehearse bool // nobody is asked, and nothing is paid

	connection connectionOptions // flags that not all of these commands have

	privateNetwork bool // nodes may call private addresses

	env spec.Environment // of the file that was read last: the process's, then the files'

	scripts *script.Pool // of all engines of this command: that which checks starts the workers that run
}

func (o *fileOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.envFiles, "env-file", nil, "read variables from a `file` of NAME=value lines; the environment comes first")
	cmd.Flags().StringArrayVar(&o.sets, "set", nil, "put a value into the batch file, as `path=value` (run.concurrency=4)")
	cmd.Flags().StringVar(&o.backend, "backend", "", "take the batch file as one for this `backend`, whatever it says: "+strings.Join(backends, ", "))
	_ = cmd.RegisterFlagCompletionFunc("backend", cobra.FixedCompletions(backends, cobra.ShellCompDirectiveNoFileComp)) // of a flag that is there
}

// nodeFlags are those of commands that run nodes in this process.
func (o *fileOptions) nodeFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.privateNetwork, "allow-private-network", false, "let api and url_loader nodes call loopback, link-local and private addresses")
}

// backends are the names that a batch file may have for one.
var backends = []string{"local", "vectorshift", "temporal"}

// values are those that flags put into the batch file.
func (o *fileOptions) values() ([]string, error) {
	switch {
	case o.backend == "":
		return o.sets, nil
	case !slices.Contains(backends, o.backend):
		return nil, &exitError{exitUsage, fmt.Errorf("--backend: there is no backend %q%s", o.backend, cmp.Or(schema.DidYouMean(o.backend, backends), "; there are "+strings.Join(backends, ", ")))}
	case slices.ContainsFunc(o.sets, func(set string) bool { return strings.HasPrefix(set, "run.backend=") }):
		return nil, &exitError{exitUsage, errors.New("--backend and --set run.backend=... say the same; one must go")}
	}
	return append([]string{"run.backend=" + o.backend}, o.sets...), nil
}

// load reads a batch file and checks it for its backend. Warnings go to warn;
// anything else that is wrong is the error.
func (o *fileOptions) load(path string, std streams, warn func(schema.Problems)) (*spec.File, error) {
	file, problems, err := o.read(path, std)
	if err != nil {
		return nil, err
	}
	if errs, _ := problems.Split(); len(errs) == 0 && file.Run.Backend != "vectorshift" { // the others run it with the engine
		problems = append(problems, o.check(file)...)
	}
	errs, warnings := problems.Split()
	if len(warnings) > 0 {
		warn(warnings)
	}
	if len(errs) > 0 {
		return nil, &exitError{exitUsage, errs}
	}
	if o.rehearse { // which calls nobody
		return file, nil
	}
	if err := o.connection.check(file.Run.Backend); err != nil {
		return nil, err
	}
	if err := o.connection.put(file); err != nil || file.Run.Backend != "temporal" {
		return file, err
	}
	return file, checkStoreVariable(file, o.env)
}

// engine is what the embedded engine works with for a batch file.
func (o *fileOptions) engine(file *spec.File) engine.Options {
	options := engine.Options{Env: o.env, Dir: filepath.Dir(file.Path), Files: o.fileArea(file), Prices: file.Run.Prices, RequestsPerMinute: file.Run.Rate.RequestsPerMinute, Redactor: file.Redactor}
	options.AllowPrivateNetwork = o.privateNetwork
	if o.scripts == nil {
		o.scripts = script.NewPool(script.Options{})
	}
	options.Scripts = o.scripts
	if o.rehearse {
		options.Rehearse = &file.Rehearse
	}
	return options
}

// fileArea is the folder of stored files: what NIGHTSHIFT_FILES names, else `files`
// beside the batch file.
func (o *fileOptions) fileArea(file *spec.File) string {
	if dir, _ := o.env("NIGHTSHIFT_FILES"); dir != "" {
		return dir
	}
	return filepath.Join(filepath.Dir(file.Path), "files")
}

// read reads a batch file; whether its backend can run it is not looked at.
func (o *fileOptions) read(path string, std streams) (*spec.File, schema.Problems, error) {
	env, err := environment(o.envFiles)
	if err != nil {
		return nil, nil, err
	}
	o.env = env
	keys := llm.New(llm.Options{Env: o.env}).Keys()
	std.err.redact = std.err.redact.WithKeys(keys)
	sets, err := o.values()
	if err != nil {
		return nil, nil, err
	}
	file, problems := spec.Load(path, spec.Options{Env: o.env, Set: sets})
	if file != nil {
		file.Redactor = file.Redactor.WithKeys(keys) // also those that the file does not list, or use
		std.err.redact = file.Redactor
	}
	return file, problems, nil
}

// batches picks the named batches; with no names, all of them.
func batches(f *spec.File, names []string) ([]*spec.Batch, error) {
	if len(names) == 0 {
		return f.Batches, nil
	}
	var all []string
	for _, b := range f.Batches {
		all = append(all, b.Name)
	}
	var picked []*spec.Batch
	for _, name := range names {
		b := f.Batch(name)
		if b == nil {
			return nil, &exitError{exitUsage, fmt.Errorf("%s has no batch %q%s", f.Path, name, cmp.Or(schema.DidYouMean(name, all), "; it has "+strings.Join(all, ", ")))}
		}
		if !slices.Contains(picked, b) {
			picked = append(picked, b)
		}
	}
	return picked, nil
}
