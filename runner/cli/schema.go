package cli

import (
	"github.com/spf13/cobra"

	"nightshift/schema"
)

func newSchema(std streams) *cobra.Command {
	var result bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema of batch files, or of result lines",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text := schema.BatchSchema
			if result {
				text = schema.ResultSchema
			}
			_, err := std.out.Write(text())
			return err
		},
	}
	cmd.Flags().BoolVar(&result, "result", false, "the schema of a result line")
	return cmd
}
