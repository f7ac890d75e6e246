package cli

import (
	"testing"

	"github.com/spf13/cobra"

	"nightshift/spec"
)

// TestAttachHint: the command that run --detach names finds the same batch on the same
// cluster, and holds no key.
func TestAttachHint(t *testing.T) {
	for _, test := range []struct {
		path, batch string
		args        []string
		want        string
	}{
		{"slow.yaml", "x", nil, "nightshift attach slow.yaml --batch x"},
		{"my slow.yaml", "it's", nil, `nightshift attach 'my slow.yaml' --batch 'it'\''s'`},
		{"slow.yaml", "x", []string{"--detach", "--limit=3", "--batch=x", "--api-key=k", "-q"}, "nightshift attach slow.yaml --batch x"},
		{"slow.yaml", "x", []string{
			"-o", "a b.jsonl", "--backend=temporal", "--set", "run.concurrency=4", "--set", "run.retry={max: 1}", "--env-file=.env",
			"--address=127.0.0.1:7300", "--namespace=night", "--store=/shared", "--task-queue=nights", "--tls=false",
		}, "nightshift attach slow.yaml --batch x --address 127.0.0.1:7300 --backend temporal --env-file .env --namespace night --output 'a b.jsonl'" +
			" --set run.concurrency=4 --set 'run.retry={max: 1}' --store /shared --task-queue nights --tls=false"},
	} {
		o := runOptions{}
		cmd := &cobra.Command{Use: "run"}
		o.flags(cmd)
		o.whichFlags(cmd)
		o.connection.connectionFlags(cmd)
		o.connection.queueFlag(cmd)
		o.connection.storeFlag(cmd)
		cmd.Flags().BoolVar(&o.detach, "detach", false, "")
		cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "")
		if err := cmd.ParseFlags(test.args); err != nil {
			t.Fatal(err)
		}
		n := night{runOptions: &o, file: &spec.File{Path: test.path}}
		if got := n.attaching(test.batch); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	attach := newAttach(streams{})
	for _, name := range attachFlags {
		if attach.Flags().Lookup(name) == nil {
			t.Errorf("attach has no flag --%s", name)
		}
	}
}
