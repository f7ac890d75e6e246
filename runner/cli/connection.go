package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"nightshift/spec"
)

// connectionOptions are the flags of commands that call a Temporal cluster, named as
// those of the temporal CLI. What they leave out is in its variables and its file.
type connectionOptions struct {
	address, namespace, apiKey        string
	tls, anyHost                      bool
	tlsCA, tlsCert, tlsKey, tlsServer string
	taskQueue, store                  string // in the place of the batch file's

	cmd *cobra.Command // that has the flags; nil: it has none
}

// connectionFlags are those that say how the cluster is reached.
func (o *connectionOptions) connectionFlags(cmd *cobra.Command) {
	o.cmd = cmd
	flags := cmd.Flags()
	flags.StringVar(&o.address, "address", "", "temporal: `host:port` of the cluster (default $TEMPORAL_ADDRESS, or 127.0.0.1:7233)")
	flags.StringVar(&o.namespace, "namespace", "", "temporal: `name` of the namespace (default $TEMPORAL_NAMESPACE, or default)")
	flags.StringVar(&o.apiKey, "api-key", "", "temporal: API `key`; others on this machine can see it, so $TEMPORAL_API_KEY is better")
	flags.BoolVar(&o.tls, "tls", false, "temporal: connect with TLS")
	flags.StringVar(&o.tlsCA, "tls-ca-path", "", "temporal: `file` of the certificate that vouches for the server")
	flags.StringVar(&o.tlsCert, "tls-cert-path", "", "temporal: `file` of this client's certificate")
	flags.StringVar(&o.tlsKey, "tls-key-path", "", "temporal: `file` of that certificate's key")
	flags.StringVar(&o.tlsServer, "tls-server-name", "", "temporal: `name` that the server's certificate is for")
	flags.BoolVar(&o.anyHost, "tls-disable-host-verification", false, "temporal: take any certificate for the server's")
}

// queueFlag is that of commands which start something on the cluster.
func (o *connectionOptions) queueFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.taskQueue, "task-queue", "", "temporal: `name` of the task queue that workers poll, whatever the batch file says")
}

// storeFlag is that of commands which need what clients and workers share.
func (o *connectionOptions) storeFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.store, "store", "", "temporal: `folder` or s3://bucket/prefix that clients and workers share, whatever the batch file says")
}

// put puts what the flags say into a batch file. A folder is relative to the working
// folder here.
func (o *connectionOptions) put(file *spec.File) error {
	if o.taskQueue != "" {
		file.Run.Temporal.TaskQueue = o.taskQueue
	}
	if o.store == "" {
		return nil
	}
	store, err := wholeStore(o.store)
	file.Run.Temporal.Store = store
	return err
}

// shownStore is the address of a store without what its query may say.
func shownStore(url string) string {
	shown, _, _ := strings.Cut(url, "?")
	return shown
}
