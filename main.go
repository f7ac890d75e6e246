// Nightshift runs batches of inputs through LLM pipelines, as one checked-in
// YAML file declares them.
package main

import (
	"os"

	"nightshift/runner/cli"
)

func main() { os.Exit(cli.Main()) }
