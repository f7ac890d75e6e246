package temporal

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nightshift/runner"
)

// env makes variables, with a settings file of its own.
func env(t *testing.T, file string, pairs ...string) func(string) (string, bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "temporal.toml")
	fine(t, os.WriteFile(path, []byte(file), 0o600))
	vars := map[string]string{"TEMPORAL_CONFIG_FILE": path}
	for i := 0; i < len(pairs); i += 2 {
		vars[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) {
		value, set := vars[name]
		return value, set
	}
}

// TestSettings: the file of the temporal CLI, the variables over it, options over both.
func TestSettings(t *testing.T) {
	const file = "[profile.default]\naddress = \"file:1\"\nnamespace = \"of-file\"\n[profile.other]\naddress = \"other:1\"\n"
	for name, c := range map[string]struct {
		file      string
		vars      []string
		o         Options
		address   string
		namespace string
	}{
		"nothing":        {"", nil, Options{}, "127.0.0.1:7233", "default"},
		"file":           {file, nil, Options{}, "file:1", "of-file"},
		"profile":        {file, []string{"TEMPORAL_PROFILE", "other"}, Options{}, "other:1", "default"},
		"variables":      {file, []string{"TEMPORAL_ADDRESS", "var:1", "TEMPORAL_NAMESPACE", "of-var"}, Options{}, "var:1", "of-var"},
		"empty variable": {file, []string{"TEMPORAL_ADDRESS", ""}, Options{}, "file:1", "of-file"},
		"options":        {file, []string{"TEMPORAL_ADDRESS", "var:1"}, Options{Address: "flag:1", Namespace: "of-flag"}, "flag:1", "of-flag"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Env = env(t, c.file, c.vars...)
			s, err := c.o.settings()
			fine(t, err)
			want(t, "address, namespace", [2]string{s.HostPort, s.Namespace}, [2]string{c.address, c.namespace})
			want(t, "no TLS", s.ConnectionOptions.TLS == nil, true)
			want(t, "no key", s.Credentials == nil, true)
		})
	}
	o := Options{Env: env(t, file, "TEMPORAL_PROFILE", "none"), APIKey: "k"}
	want(t, "key where the settings cannot be used", o.Key(), "k")
	_, err := o.settings()
	says(t, "a profile that is not there", err, "none", "TEMPORAL_PROFILE")
}

// TestKey: the key is known, so that it can be hidden, wherever it stands.
func TestKey(t *testing.T) {
	const file = "[profile.default]\napi_key = \"of-file\"\n"
	for name, c := range map[string]struct {
		file string
		vars []string
		flag string
		key  string
	}{
		"none":     {"", nil, "", ""},
		"file":     {file, nil, "", "of-file"},
		"variable": {file, []string{"TEMPORAL_API_KEY", "of-var"}, "", "of-var"},
		"flag":     {file, []string{"TEMPORAL_API_KEY", "of-var"}, "of-flag", "of-flag"},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, "key", Options{APIKey: c.flag, Env: env(t, c.file, c.vars...)}.Key(), c.key)
		})
	}
}

// TestSettingsOfTLS: with a key, or any option for TLS, it is on.
func TestSettingsOfTLS(t *testing.T) {
	cert, key := certificate(t)
	for name, c := range map[string]struct {
		vars    []string
		o       Options
		on      bool
		keyed   bool
		certs   int
		roots   bool
		server  string
		anyHost bool
	}{
		"off":           {nil, Options{}, false, false, 0, false, "", false},
		"on":            {nil, Options{TLS: true}, true, false, 0, false, "", false},
		"by variable":   {[]string{"TEMPORAL_TLS", "true"}, Options{}, true, false, 0, false, "", false},
		"key":           {nil, Options{APIKey: "k"}, true, true, 0, false, "", false},
		"key of a file": {[]string{"TEMPORAL_API_KEY", "k"}, Options{}, true, true, 0, false, "", false},
		"not with key":  {[]string{"TEMPORAL_API_KEY", "k", "TEMPORAL_TLS", "false"}, Options{}, false, true, 0, false, "", false},
		"on after all":  {[]string{"TEMPORAL_TLS", "false"}, Options{TLS: true}, true, false, 0, false, "", false},
		"certificates":  {nil, Options{TLSCA: cert, TLSCert: cert, TLSKey: key, TLSServerName: "s", DisableHostVerification: true}, true, false, 1, true, "s", true},
		"over data": {[]string{"TEMPORAL_TLS_CLIENT_CERT_DATA", "x", "TEMPORAL_TLS_CLIENT_KEY_DATA", "x", "TEMPORAL_TLS_SERVER_CA_CERT_DATA", "x"},
			Options{TLSCA: cert, TLSCert: cert, TLSKey: key}, true, false, 1, true, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Env = env(t, "", c.vars...)
			s, err := c.o.settings()
			fine(t, err)
			conf := s.ConnectionOptions.TLS
			want(t, "TLS", conf != nil, c.on)
			want(t, "key", s.Credentials != nil, c.keyed)
			if conf != nil {
				want(t, "certificates", len(conf.Certificates), c.certs)
				want(t, "roots", conf.RootCAs != nil, c.roots)
				want(t, "server", conf.ServerName, c.server)
				want(t, "any host", conf.InsecureSkipVerify, c.anyHost)
			}
		})
	}
	for _, o := range []Options{{TLSCA: "/none"}, {TLSCert: cert}, {TLSCert: cert, TLSKey: "/none"}, {TLSCA: key}} {
		o.Env = env(t, "")
		_, err := o.settings()
		says(t, "files", err, "cannot be made secure", "--tls-ca-path", "TEMPORAL_TLS_")
	}
}

// TestDialNobody: nobody listens, or somebody who is no server.
func TestDialNobody(t *testing.T) {
	cert, key := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	fine(t, err)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	fine(t, err)
	_ = closed.Close()
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}})
	fine(t, err)
	t.Cleanup(func() { _ = secure.Close() })
	go func() {
		for {
			c, err := secure.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = c.(*tls.Conn).Handshake()
				_ = c.Close()
			}()
		}
	}()
	for name, c := range map[string]struct {
		o    Options
		says []string
	}{
		"closed":  {Options{Address: closed.Addr().String()}, []string{"connection refused", "temporal server start-dev", "--address", "TEMPORAL_ADDRESS"}},
		"no name": {Options{Address: "nobody.invalid:7233"}, []string{"nobody.invalid", "--address"}},
		"unknown": {Options{Address: secure.Addr().String(), TLS: true}, []string{"--tls-ca-path"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.o.Env = env(t, "")
			_, err := Dial(t.Context(), c.o)
			says(t, "dial", err, append(c.says, "connect "+c.o.Address)...)
			_, unreached := errors.AsType[*runner.ConnectionError](err)
			want(t, "a connection error", unreached, true)
		})
	}
}

// TestLog: warnings are passed on, and of what comes with them what is known to hold no
// input.
func TestLog(t *testing.T) {
	var text bytes.Buffer
	l := newLogger(slog.New(slog.NewTextHandler(&text, nil)))
	l.Debug("debug")
	l.Info("info")
	l.Warn("warning", "WorkflowID", "w", "Input", "private")
	l.Error("failed", "Error", errors.New("why"))
	said := text.String()
	for _, part := range []string{`msg="temporal: warning" WorkflowID=w`, `msg="temporal: failed" Error=why`} {
		if !strings.Contains(said, part) {
			t.Errorf("%q is not in %s", part, said)
		}
	}
	for _, part := range []string{"debug", "info", "private"} {
		if strings.Contains(said, part) {
			t.Errorf("%q is in %s", part, said)
		}
	}
	newLogger(nil).Error("to nobody")
}

// certificate makes one, with its key, in files.
func certificate(t *testing.T) (certPath, keyPath string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fine(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	fine(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	fine(t, err)
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		fine(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}
