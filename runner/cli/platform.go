package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/spec"
)

// platformOptions are the flags of commands that need no batch file, but the hosted
// platform.
type platformOptions struct {
	logOptions
	envFiles []string
}

func (o *platformOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.envFiles, "env-file", nil, "read variables from a `file` of NAME=value lines; the environment comes first")
	o.logFlags(cmd)
}

// client makes the client of the platform. From here on its key is hidden.
func (o *platformOptions) client(std streams) (*vectorshift.Client, error) {
	env, err := environment(o.envFiles)
	if err != nil {
		return nil, err
	}
	client, err := newPlatform(env, o.logger(std))
	if err != nil {
		return nil, err
	}
	std.err.redact = std.err.redact.WithKeys([]string{client.Key()})
	return client, nil
}

// environment is that of the process, then what files hold.
func environment(files []string) (spec.Environment, error) {
	vars := map[string]string{}
	for _, name := range files {
		read, err := spec.ReadEnvFile(name)
		if err != nil {
			return nil, &exitError{exitUsage, err}
		}
		maps.Copy(vars, read)
	}
	return func(name string) (string, bool) {
		if v, ok := os.LookupEnv(name); ok {
			return v, true
		}
		v, ok := vars[name]
		return v, ok
	}, nil
}

// loadHosted reads a batch file whose runs outlive this process.
func (o *fileOptions) loadHosted(cmd *cobra.Command, path string, log *logOptions, std streams) (*spec.File, error) {
	file, err := o.load(path, std, log.warnings(std))
	if err != nil {
		return nil, err
	}
	if !outlives(file.Run.Backend) {
		return nil, &exitError{exitUsage, fmt.Errorf("backend %s keeps nothing: %s is for backend vectorshift; write run: {backend: vectorshift}, or give --set run.backend=vectorshift; backend temporal has it too", file.Run.Backend, cmd.Name())}
	}
	return file, nil
}

// loadShared reads a batch file whose batches are handed over to a Temporal cluster.
func (o *fileOptions) loadShared(cmd *cobra.Command, path string, log *logOptions, std streams) (*spec.File, error) {
	file, err := o.load(path, std, log.warnings(std))
	if err != nil {
		return nil, err
	}
	if file.Run.Backend != "temporal" {
		return nil, &exitError{exitUsage, fmt.Errorf("%s is about batches that were handed over to a Temporal cluster, but this is for backend %s; write run: {backend: temporal}, or give --backend temporal", cmd.Name(), file.Run.Backend)}
	}
	return file, nil
}

// notFound gives an error of a call about something that was named its exit code:
// what does not exist was named wrongly.
func notFound(what string, err error) error {
	if _, missing := errors.AsType[*runner.NotFoundError](err); missing {
		return &exitError{exitUsage, fmt.Errorf("there is no %s that this key may see: %w", what, err)}
	}
	return callError(err)
}

// printObject writes one JSON object to standard output, its members in this order:
// a name, a plain value, and so on. Secrets are hidden.
func printObject(std streams, members ...any) error {
	for i := 1; i < len(members); i += 2 {
		members[i] = std.err.redact.Value(members[i])
	}
	lines := chunkLines{out: std.out}
	if lines.write(members...); lines.err != nil {
		return unwritten(lines.err)
	}
	return nil
}

// unwritten is an error of standard output.
func unwritten(err error) error {
	return &exitError{exitResults, fmt.Errorf("cannot write to standard output: %w", err)}
}

// orNull gives a text, or null where it is "".
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
