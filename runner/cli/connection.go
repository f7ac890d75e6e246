package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"nightshift/runner/temporal"
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

// misplaced refuses flags that mean nothing to a backend.
func (o *connectionOptions) misplaced(backend string) error {
	if o.cmd == nil || backend == "temporal" {
		return nil
	}
	for _, name := range []string{"address", "namespace", "api-key", "tls", "tls-ca-path", "tls-cert-path", "tls-key-path", "tls-server-name", "tls-disable-host-verification", "task-queue", "store"} {
		if o.cmd.Flags().Changed(name) {
			return &exitError{exitUsage, fmt.Errorf("--%s is for backend temporal, but this is for backend %s; leave it out, or give --backend temporal", name, backend)}
		}
	}
	return nil
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

// wholeStore makes the folder that a flag names for a store absolute; an address stays
// as it is.
func wholeStore(store string) (string, error) {
	if store == "" || strings.Contains(store, "://") {
		return store, nil
	}
	whole, err := filepath.Abs(store)
	if err != nil {
		return "", &exitError{exitUsage, fmt.Errorf("--store %s: %w", store, err)}
	}
	return whole, nil
}

// shownStore is the address of a store without what its query may say.
func shownStore(url string) string {
	shown, _, _ := strings.Cut(url, "?")
	return shown
}

// key is the API key that flags and variables give; "": there is none.
func (o *connectionOptions) key(env spec.Environment) string {
	if o.apiKey != "" {
		return o.apiKey
	}
	key, _ := env("TEMPORAL_API_KEY")
	return key
}

// dial connects to the cluster. From here on its API key is hidden.
func (o *connectionOptions) dial(ctx context.Context, env spec.Environment, log *slog.Logger, say func(string), std streams) (*temporal.Client, error) {
	std.err.redact = std.err.redact.WithKeys([]string{o.key(env)})
	client, err := temporal.Dial(ctx, temporal.Options{
		Address: o.address, Namespace: o.namespace, APIKey: o.apiKey,
		TLS: o.tls, TLSCA: o.tlsCA, TLSCert: o.tlsCert, TLSKey: o.tlsKey,
		TLSServerName: o.tlsServer, DisableHostVerification: o.anyHost,
		Env: env, Log: log, Say: say,
	})
	switch {
	case err == nil:
		return client, nil
	case ofBackend(err):
		return nil, &exitError{exitBackend, err}
	case errors.Is(err, context.Canceled):
		return nil, &exitError{exitInterrupt, err}
	}
	return nil, &exitError{exitUsage, err}
}
