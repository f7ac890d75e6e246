package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"nightshift/runner/vectorshift"
	"nightshift/schema"
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
told on standard error, as are keys of providers that were left out; your own key is
printed as ${VECTORSHIFT_API_KEY}.

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
	say := func(message string) { o.say(std, message) }
	env, err := keyAsVariable(declared, client.Key(), std.err.redact)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("pipeline %s: %w", p.ID, err)}
	}
	var text bytes.Buffer
	if err := spec.Write(&text, declared, env); err != nil {
		return &exitError{exitUsage, fmt.Errorf("pipeline %s: %w", p.ID, err)}
	}
	for _, note := range notes {
		say(oneLine(note))
	}
	if bytes.Contains(text.Bytes(), []byte("${"+keyVariable+"}")) {
		say("the key is printed as ${" + keyVariable + "}: save takes it from the environment, or an --env-file")
	}
	if remark := remarks(text.Bytes(), client.Key()); remark != "" {
		say(remark)
	}
	if where := o.savedTo(ctx, client, p); where != "" {
		say(where)
	}
	if _, err := std.out.Write(text.Bytes()); err != nil {
		return unwritten(err)
	}
	return nil
}

// keyVariable holds the key of the platform.
const keyVariable = "VECTORSHIFT_API_KEY"

// keyAsVariable is the variable to write in place of the key, which is the one secret
// that pull knows of. The error names the input that holds the key in another form, as
// that would be saved as it is printed.
func keyAsVariable(p *spec.Pipeline, key string, redact *spec.Redactor) (variables map[string]string, err error) {
	if redact.Text(key) == key {
		return nil, nil // too short to be one
	}
	without := strings.NewReplacer(key, "")
	holds := func(what string, value any) {
		if v := eachText(value, without.Replace); err == nil && !reflect.DeepEqual(redact.Value(v), v) {
			err = fmt.Errorf("%s holds the key of %s in a form that cannot be printed; take it out on the platform", what, keyVariable)
		}
	}
	holds("its name", p.Name)
	holds("its description", p.Description)
	for _, n := range p.Nodes {
		for input, value := range n.AllInputs() {
			holds(fmt.Sprintf("node %s: %s", n.Name, input), value)
		}
	}
	return map[string]string{keyVariable: key}, err
}

// eachText does something to all texts of a plain value; names of members stay.
func eachText(v any, do func(string) string) any {
	switch v := v.(type) {
	case string:
		return do(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = eachText(v[i], do)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for name := range v {
			m[name] = eachText(v[name], do)
		}
		return m
	}
	return v
}

// remarks are what save would say of the file that is printed, at its lines.
func remarks(text []byte, key string) string {
	_, problems := spec.Parse("", text, spec.Options{Env: func(name string) (string, bool) { return key, name == keyVariable }})
	errs, warnings := problems.Split()
	said := func(intro string, problems schema.Problems) (lines []string) {
		for _, p := range problems {
			lines = append(lines, fmt.Sprintf("line %d: %s", p.Line, p.Message))
		}
		if lines != nil {
			lines = append([]string{intro}, lines...)
		}
		return lines
	}
	return strings.Join(append(said("save refuses what is printed, as:", errs), said("nightshift has these remarks on what is printed:", warnings)...), "\n")
}

// savedTo warns where a save of what is printed would not leave the platform as it is.
func (o *pullOptions) savedTo(ctx context.Context, client *vectorshift.Client, p *vectorshift.Pipeline) string {
	w := o.which
	if w.Name != "" && w.Username+w.Org == "" || p.Name == "" {
		return ""
	}
	var lines []string
	newest, err := client.Fetch(ctx, vectorshift.Which{Name: p.Name})
	switch {
	case isUnknown(err):
		lines = append(lines, fmt.Sprintf("save would create a pipeline: none of the name %s can be found, and %s would be left alone", p.Name, p.ID))
	case err != nil:
		lines = append(lines, fmt.Sprintf("whether save would write to %s is not known: %v", p.ID, err))
	case newest.ID != p.ID:
		lines = append(lines, fmt.Sprintf("save would write to %s, the pipeline of the name %s that was changed last, NOT to %s; give one of them another name", newest.ID, p.Name, p.ID))
	}
	if w.Version != "" {
		lines = append(lines, fmt.Sprintf("this is version %s; save makes it the newest", w.Version))
	}
	if w.Branch != "" {
		lines = append(lines, fmt.Sprintf("this is the branch %s; save writes it to the main branch", w.Branch))
	}
	return strings.Join(lines, "\n")
}
