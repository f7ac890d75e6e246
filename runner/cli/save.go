package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
	"nightshift/spec"
)

type saveOptions struct {
	fileOptions
	logOptions
	deploy            bool
	publish           bool // deploy was asked for
	bump, description string
}

// bumps are the parts of a version that a save can raise.
var bumps = []string{"patch", "minor", "major"}

func newSave(std streams) *cobra.Command {
	var o saveOptions
	cmd := &cobra.Command{
		Use:   "save FILE",
		Short: "save the pipeline of a file to the hosted platform, or for workers",
		Long: `Save creates the pipeline that a batch file declares, or updates the one of its name
where that differs, and before it the pipelines from files that its nodes run; what is
written is told. It prints one JSON object: pipeline_id, name, action (created, updated,
unchanged), branch_id and, where nodes run pipelines from files, subs: pipeline_id, name
and action of each. The outer action is unchanged only where nothing at all was written.

On backend temporal it puts the batch file, with the files that it is made of and
without secrets, into the store that clients and workers share, and prints backend,
pipeline_id, name and action. start and run do that by themselves.

Exit codes: 0 · 2 wrong usage or an invalid batch file · 4 backend unreachable, or it
refused.`,
		Example: `  nightshift save batch.yaml
  nightshift save batch.yaml --bump minor --description "a better prompt"`,
		Args:              oneFile,
		ValidArgsFunction: batchFileArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.bump != "" && !slices.Contains(bumps, o.bump) {
				return fmt.Errorf("--bump is patch, minor or major, not %q", o.bump)
			}
			if err := o.validateLog(); err != nil {
				return err
			}
			file, err := o.loadHosted(cmd, args[0], &o.logOptions, std)
			if err != nil {
				return err
			}
			if file.Pipeline.Nodes == nil && (o.bump != "" || o.description != "" || cmd.Flags().Changed("deploy")) {
				return &exitError{exitUsage, fmt.Errorf("%s declares no nodes, so there is nothing to save: --deploy, --bump and --description do nothing", args[0])}
			}
			if file.Run.Backend == "temporal" {
				for _, name := range []string{"deploy", "bump", "description"} {
					if cmd.Flags().Changed(name) {
						return &exitError{exitUsage, fmt.Errorf("--%s is for backend vectorshift: backend temporal keeps no versions", name)}
					}
				}
				return o.share(cmd.Context(), file, std)
			}
			o.publish = o.deploy && cmd.Flags().Changed("deploy")
			return o.save(cmd.Context(), file, std)
		},
	}
	o.flags(cmd)
	o.logFlags(cmd)
	o.connection.connectionFlags(cmd)
	o.connection.storeFlag(cmd)
	cmd.Flags().BoolVar(&o.deploy, "deploy", true, "make it the published version, which runs use")
	cmd.Flags().StringVar(&o.bump, "bump", "", "add a version tag, raising this `part`: patch, minor or major")
	cmd.Flags().StringVar(&o.description, "description", "", "describe what is saved, in this `text`")
	return cmd
}

func (o *saveOptions) save(ctx context.Context, file *spec.File, std streams) error {
	target, err := o.ready(file, nil, o.logger(std), std)
	if err != nil {
		return err
	}
	p, action, changes, err := target.platform.SavePipeline(ctx, file.Pipeline, vectorshift.SaveOptions{
		NoDeploy: !o.deploy, Deploy: o.publish, Bump: o.bump, Description: o.description,
	}, false)
	if err != nil {
		return saveError(file.Pipeline, err, false)
	}
	for _, change := range changes {
		o.say(std, oneLine(shownChange(change, file.Redactor)))
	}
	if len(p.Others) > 0 {
		o.say(std, severalNamed(p.Name, p.ID, p.Others))
	}
	for _, note := range p.Notes {
		o.say(std, oneLine(note))
	}
	var subs []any
	for _, sub := range p.Subs {
		subs = append(subs, map[string]any{"pipeline_id": sub.ID, "name": sub.Name, "action": string(sub.Action)})
		if action == runner.Unchanged && sub.Action != runner.Unchanged {
			action = runner.Updated
		}
	}
	members := []any{"pipeline_id", p.ID, "name", cmp.Or(p.Name, file.Pipeline.Name), "action", string(action), "branch_id", orNull(p.BranchID)}
	if subs != nil {
		members = append(members, "subs", subs)
	}
	return printObject(std, members...)
}

// share puts the batch file where the workers of a cluster find it.
func (o *saveOptions) share(ctx context.Context, file *spec.File, std streams) error {
	target, err := o.ready(file, variants(file, nil), o.logger(std), std)
	if err != nil {
		return err
	}
	say := func(message string) { o.say(std, message) }
	backend, release, err := target.open(ctx, say, say)
	if err != nil {
		return err
	}
	defer release()
	saved, err := save(ctx, backend, file, runner.SaveOptions{}, say, say)
	if err != nil {
		return err
	}
	return printObject(std, "backend", "temporal", "pipeline_id", saved.PipelineID, "name", file.Pipeline.Name, "action", string(saved.Action))
}

// shownChange is a line about a change in which no secret can be read: where a new
// value holds one, the old one may hold another that was in use before.
func shownChange(change string, redact *spec.Redactor) string {
	shown := redact.Message(change)
	if parts := strings.SplitN(shown, ": ", 3); shown != change && len(parts) == 3 {
		return parts[0] + ": " + parts[1] + " is changed"
	}
	return shown
}
