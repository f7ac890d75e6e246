package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"nightshift/runner/vectorshift"
	"nightshift/spec"
)

type pullOptions struct {
	platformOptions
	which vectorshift.Which
}

func newPull(std streams) *cobra.Command {
	var o pullOptions
	cmd := &cobra.Command{
		Use:   "pull --name NAME | --id ID",
		Short: "print a saved pipeline as a batch file",
		Long: `Pull fetches a pipeline from the hosted platform and prints it as a batch file, which
save leaves unchanged. Its batch holds placeholders. What a batch file cannot say is
told on standard error, as are keys that were left out.

Exit codes: 0 · 2 wrong usage, or there is no such pipeline · 4 platform unreachable,
or it refused.`,
		Example: `  nightshift pull --name bg_summariser > batch.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("too many arguments; usage: %s", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.pull(cmd.Context(), std)
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.which.Name, "name", "", "the pipeline of this `name`; of several, the one that was changed last")
	cmd.Flags().StringVar(&o.which.ID, "id", "", "the pipeline of this `id`")
	cmd.Flags().StringVar(&o.which.Username, "username", "", "with --name: of this `user`")
	cmd.Flags().StringVar(&o.which.Org, "org", "", "with --name: of this `organisation`")
	cmd.Flags().StringVar(&o.which.Version, "version", "", "with --id: in this `version`")
	cmd.Flags().StringVar(&o.which.Branch, "branch", "", "with --id: on the branch of this `id`")
	return cmd
}

func (o *pullOptions) validate() error {
	w := o.which
	switch {
	case (w.Name == "") == (w.ID == ""):
		return errors.New("pull takes either --name or --id")
	case w.ID == "" && (w.Version != "" || w.Branch != ""):
		return errors.New("--version and --branch go with --id")
	case w.Name == "" && (w.Username != "" || w.Org != ""):
		return errors.New("--username and --org go with --name")
	}
	return o.validateLog()
}

func (o *pullOptions) pull(ctx context.Context, std streams) error {
	client, err := o.client(std)
	if err != nil {
		return err
	}
	p, err := client.Fetch(ctx, o.which)
	if err != nil {
		return notFound("pipeline "+o.which.Name+o.which.ID, err)
	}
	declared, notes, err := p.Spec()
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("pipeline %s: %w", p.ID, err)}
	}
	hideIn(declared, std.err.redact)
	var text bytes.Buffer
	if err := spec.Write(&text, declared); err != nil {
		return &exitError{exitUsage, fmt.Errorf("pipeline %s: %w", p.ID, err)}
	}
	for _, note := range notes {
		fmt.Fprintln(std.err, note)
	}
	if _, problems := spec.Parse("batch.yaml", text.Bytes(), spec.Options{}); len(problems) > 0 {
		fmt.Fprintf(std.err, "nightshift has these remarks on what is saved there:\n%v\n", problems)
	}
	if _, err := std.out.Write(text.Bytes()); err != nil {
		return unwritten(err)
	}
	return nil
}

// hideIn hides secrets in a pipeline, before it is written: afterwards they might be
// hidden where YAML needs quotes for what takes their place.
func hideIn(p *spec.Pipeline, redact *spec.Redactor) {
	p.Name, p.Description = redact.Text(p.Name), redact.Text(p.Description)
	for _, n := range p.Nodes {
		n.Inputs, n.CyclicInputs = redact.Map(n.Inputs), redact.Map(n.CyclicInputs)
	}
}
