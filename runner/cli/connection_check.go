package cli

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"nightshift/spec"
)

// connectionFlagNames are those of connectionFlags, queueFlag and storeFlag.
var connectionFlagNames = []string{
	"address", "namespace", "api-key", "tls", "tls-ca-path", "tls-cert-path", "tls-key-path", "tls-server-name", "tls-disable-host-verification",
	"task-queue", "store",
}

// given tells whether a flag was given.
func (o *connectionOptions) given(name string) bool {
	return o.cmd != nil && o.cmd.Flags().Changed(name)
}

// check refuses flags that mean nothing to a backend, or that cannot be meant.
func (o *connectionOptions) check(backend string) error {
	for _, name := range connectionFlagNames {
		switch {
		case !o.given(name):
		case backend != "temporal":
			return &exitError{exitUsage, fmt.Errorf("--%s is for backend temporal, but this is for backend %s; leave it out, or give --backend temporal", name, backend)}
		case o.cmd.Flags().Lookup(name).Value.String() == "":
			return &exitError{exitUsage, fmt.Errorf("--%s is empty; leave it out, or say which", name)}
		case strings.HasPrefix(name, "tls-") && o.given("tls") && !o.tls:
			return &exitError{exitUsage, fmt.Errorf("--tls=false and --%s exclude each other; give one of them", name)}
		}
	}
	if err := spec.CheckStore(o.store); o.given("store") && err != nil {
		return &exitError{exitUsage, fmt.Errorf("--store: %w", err)}
	}
	if o.given("address") {
		return checkAddress("--address", o.address)
	}
	return nil
}

// checkAddress refuses an address that is not host:port; where says where it stands.
func checkAddress(where, address string) error {
	host, port, err := net.SplitHostPort(address)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	if err == nil && host != "" && notNumber == nil && number > 0 && !strings.ContainsAny(host, "/ ") {
		return nil
	}
	return &exitError{exitUsage, fmt.Errorf("%s is %q; write host:port, without http:// (127.0.0.1:7233)", where, address)}
}

// checkStoreVariable refuses what NIGHTSHIFT_STORE says, if that counts.
func checkStoreVariable(file *spec.File, env spec.Environment) error {
	store, _ := env("NIGHTSHIFT_STORE")
	if file.Run.Temporal.Store != "" || store == "" {
		return nil
	}
	if err := spec.CheckStore(store); err != nil {
		return &exitError{exitUsage, fmt.Errorf("NIGHTSHIFT_STORE: %w", err)}
	}
	return nil
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
