// Package temporal is the distributed backend: single runs, and whole batches, as
// workflows on a Temporal cluster, of which workers on any number of machines do the
// work. This package is the client, which hands over, follows and ends. What it hands
// over, and what comes of it, is in a store that clients and workers share.
package temporal

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"nightshift/spec"
)

// DefaultAddress is where a server is looked for of which nothing is said: that of
// the development server.
const DefaultAddress = "127.0.0.1:7233"

// dialWithin is how long an answer to the first call is waited for.
const dialWithin = 5 * time.Second

// Options say how the cluster is reached. What is left out is taken from the
// variables of the temporal CLI (TEMPORAL_ADDRESS, ...), then from its file.
type Options struct {
	Address   string // host:port
	Namespace string
	APIKey    string // with one, TLS is on unless it is switched off

	TLS                     bool   // on, also without any of what follows
	TLSCA                   string // path of the certificates, in PEM, that the server's is signed with
	TLSCert, TLSKey         string // paths of the client's own, in PEM
	TLSServerName           string // that the server's certificate is for
	DisableHostVerification bool   // its certificate is not looked at

	Env spec.Environment // variables; nil: the process's. TEMPORAL_GRPC_META_* are the process's in any case
	Log *slog.Logger     // takes what the SDK says, warnings and worse; nil: nobody
	Say func(string)     // is told what the user should know, a line each; nil: nobody
}

// Client is a connection to a namespace of a cluster. It may be used by many
// goroutines, and is to be closed.
type Client struct {
	sdk       client.Client
	address   string
	namespace string
	say       func(string)
}

// Dial connects, and looks whether the namespace is there. The error is a
// *runner.ConnectionError where nobody answers within 5 s, and a *runner.APIError where
// the answer is no. Where the settings or the files for TLS cannot be used, which nobody is
// asked about, it is neither.
func Dial(ctx context.Context, o Options) (*Client, error) {
	settings, err := o.settings()
	if err != nil {
		return nil, err
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	c := &Client{address: settings.HostPort, namespace: settings.Namespace, say: o.Say}
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	if c.sdk, err = client.DialContext(ctx, settings); err != nil {
		return nil, c.unconnected(ctx, err)
	}
	_, err = c.sdk.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: c.namespace})
	if err != nil {
		c.sdk.Close()
		return nil, c.unconnected(ctx, err)
	}
	return c, nil
}

// Key is the API key that a connection has, wherever it stands; "": there is none, or
// the settings cannot be used, which Dial tells.
func (o Options) Key() string {
	profile, err := o.profile()
	if err != nil {
		return o.APIKey
	}
	return profile.APIKey
}

// profile is what the file says, the variables over that, and the options over both.
func (o *Options) profile() (envconfig.ClientConfigProfile, error) {
	env := variables{o.Env}
	if o.Env == nil {
		env.of = os.LookupEnv
	}
	profile, err := envconfig.LoadClientConfigProfile(envconfig.LoadClientConfigProfileOptions{EnvLookup: env})
	if err != nil {
		return profile, fmt.Errorf("the settings of the temporal CLI cannot be used: %w; see TEMPORAL_CONFIG_FILE and TEMPORAL_PROFILE", err)
	}
	profile.Address = cmp.Or(o.Address, profile.Address, DefaultAddress)
	profile.Namespace = cmp.Or(o.Namespace, profile.Namespace, client.DefaultNamespace)
	profile.APIKey = cmp.Or(o.APIKey, profile.APIKey)
	o.secure(&profile)
	return profile, nil
}

// settings are those of a profile as the SDK has them.
func (o *Options) settings() (client.Options, error) {
	profile, err := o.profile()
	if err != nil {
		return client.Options{}, err
	}
	settings, err := profile.ToClientOptions(envconfig.ToClientOptionsRequest{})
	if err != nil {
		return client.Options{}, fmt.Errorf("the connection to %s cannot be made secure: %w; see --tls-ca-path, --tls-cert-path, --tls-key-path and the variables TEMPORAL_TLS_*", profile.Address, err)
	}
	settings.Logger = newLogger(o.Log)
	settings.Identity = Identity()
	return settings, nil
}

// secure puts the options for TLS over those of a profile. Any of them switches it on.
func (o *Options) secure(profile *envconfig.ClientConfigProfile) {
	if !o.TLS && !o.DisableHostVerification && o.TLSCA+o.TLSCert+o.TLSKey+o.TLSServerName == "" {
		return
	}
	if profile.TLS == nil {
		profile.TLS = &envconfig.ClientConfigTLS{}
	}
	tls := profile.TLS
	tls.Disabled = false
	if o.TLSCA != "" {
		tls.ServerCACertPath, tls.ServerCACertData = o.TLSCA, nil
	}
	if o.TLSCert != "" {
		tls.ClientCertPath, tls.ClientCertData = o.TLSCert, nil
	}
	if o.TLSKey != "" {
		tls.ClientKeyPath, tls.ClientKeyData = o.TLSKey, nil
	}
	tls.ServerName = cmp.Or(o.TLSServerName, tls.ServerName)
	tls.DisableHostVerification = tls.DisableHostVerification || o.DisableHostVerification
}

// Identity is what the cluster shows of this process.
func Identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%d@%s", os.Getpid(), host)
}

// where is what the client calls the cluster.
func (c *Client) where() string { return fmt.Sprintf("namespace %s at %s", c.namespace, c.address) }

// SDK is the client of Temporal's own library on this connection.
func (c *Client) SDK() client.Client { return c.sdk }

// Address is where the cluster is, as host:port.
func (c *Client) Address() string { return c.address }

// Namespace is where the workflows are.
func (c *Client) Namespace() string { return c.namespace }

// Close ends the connection.
func (c *Client) Close() { c.sdk.Close() }

// variables are those that envconfig looks up. One that is empty is not set, as in
// most files of them.
type variables struct{ of spec.Environment }

func (v variables) LookupEnv(name string) (string, bool) {
	value, set := v.of(name)
	value = strings.TrimSpace(value)
	return value, set && value != ""
}

// Environ lists what can be listed: the process's.
func (variables) Environ() []string { return os.Environ() }
