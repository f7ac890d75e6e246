package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"nightshift/runner"
	"nightshift/runner/temporal"
	"nightshift/spec"
)

// key is the API key that flags, variables and the file of the temporal CLI give; "":
// there is none.
func (o *connectionOptions) key(env spec.Environment) string {
	return temporal.Options{APIKey: o.apiKey, Env: env}.Key()
}

// dial connects to the cluster. From here on its API key is hidden.
func (o *connectionOptions) dial(ctx context.Context, env spec.Environment, log *slog.Logger, say func(string), std streams) (*temporal.Client, error) {
	std.err.redact = std.err.redact.WithKeys([]string{o.key(env)})
	if address, _ := env("TEMPORAL_ADDRESS"); o.address == "" && strings.TrimSpace(address) != "" {
		if err := checkAddress("TEMPORAL_ADDRESS", strings.TrimSpace(address)); err != nil {
			return nil, err
		}
	}
	client, err := temporal.Dial(ctx, temporal.Options{
		Address: o.address, Namespace: o.namespace, APIKey: o.apiKey,
		TLS: o.tls, TLSCA: o.tlsCA, TLSCert: o.tlsCert, TLSKey: o.tlsKey,
		TLSServerName: o.tlsServer, DisableHostVerification: o.anyHost,
		Env: o.switchedOff(env), Log: log, Say: say,
	})
	switch {
	case err == nil:
		return client, nil
	case ofBackend(err):
		return nil, &exitError{exitBackend, o.unreached(err, env)}
	case errors.Is(err, context.Canceled):
		return nil, &exitError{exitInterrupt, err}
	}
	return nil, &exitError{exitUsage, err}
}

// switchedOff are the variables where --tls=false was given, which counts more than
// they do.
func (o *connectionOptions) switchedOff(env spec.Environment) spec.Environment {
	if !o.given("tls") || o.tls {
		return env
	}
	return func(name string) (string, bool) {
		if name == "TEMPORAL_TLS" {
			return "false", true
		}
		return env(name)
	}
}

// unreached is why nobody was reached, with what these settings may have to do with it.
func (o *connectionOptions) unreached(err error, env spec.Environment) error {
	failed, ok := errors.AsType[*runner.ConnectionError](err)
	switch {
	case !ok:
	case strings.Contains(err.Error(), "no children to pick from"): // gRPC's words
		return fmt.Errorf("connect %s: this host has no address that is known here; check --address or TEMPORAL_ADDRESS, and the network", failed.Endpoint)
	case strings.Contains(err.Error(), "--tls and TEMPORAL_TLS") && o.key(env) != "" && !o.tls:
		return fmt.Errorf("%w; an API key switches TLS on, and --tls=false off", err)
	}
	return err
}
