package cli

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"nightshift/spec"
)

// TestConnectionFlagsAreForTemporal: each of them is refused for another backend, so that
// none is forgotten.
func TestConnectionFlagsAreForTemporal(t *testing.T) {
	var o connectionOptions
	cmd := &cobra.Command{Use: "test"}
	before := len(flagNames(cmd))
	o.connectionFlags(cmd)
	o.queueFlag(cmd)
	o.storeFlag(cmd)
	names := flagNames(cmd)
	if len(names)-before != 11 {
		t.Errorf("%d flags: %v", len(names), names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			var o connectionOptions
			cmd := &cobra.Command{Use: "test", RunE: func(*cobra.Command, []string) error { return o.check("local") }, SilenceErrors: true, SilenceUsage: true}
			o.connectionFlags(cmd)
			o.queueFlag(cmd)
			o.storeFlag(cmd)
			cmd.SetErr(io.Discard)
			value := "1"
			if name == "address" {
				value = "127.0.0.1:1"
			}
			cmd.SetArgs([]string{"--" + name + "=" + value})
			err := cmd.Execute()
			if err == nil || !strings.HasPrefix(err.Error(), "--"+name+" is for backend temporal, but this is for backend local") {
				t.Errorf("%v", err)
			}
			if err := o.check("temporal"); err != nil {
				t.Error(err)
			}
		})
	}
}

func flagNames(cmd *cobra.Command) (names []string) {
	for line := range strings.Lines(cmd.Flags().FlagUsages()) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "--"); found {
			names = append(names, strings.FieldsFunc(name, func(r rune) bool { return r == ' ' })[0])
		}
	}
	return names
}

// TestStoreOfFlags: a folder is that of the working folder, not of the batch file's; what
// an address asks for is not shown.
func TestStoreOfFlags(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		"":                           "",
		"shared/store":               filepath.Join(here, "shared/store"),
		"/shared":                    "/shared",
		"s3://bucket/prefix?region=": "s3://bucket/prefix?region=",
	} {
		file := &spec.File{Path: "elsewhere/batch.yaml"}
		file.Run.Temporal.TaskQueue = "nightshift"
		o := connectionOptions{store: given}
		if err := o.put(file); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(spec.Temporal{TaskQueue: "nightshift", Store: want}, file.Run.Temporal); diff != "" {
			t.Errorf("--store %q (-want +got):\n%s", given, diff)
		}
	}
	if got := shownStore("s3://bucket/prefix?endpoint=http://user:pass@host"); got != "s3://bucket/prefix" {
		t.Error(got)
	}
}

// TestTLSSwitchedOff: --tls=false counts more than what variables and an API key ask for.
func TestTLSSwitchedOff(t *testing.T) {
	on := func(name string) (string, bool) { return "true", name == "TEMPORAL_TLS" }
	for arg, want := range map[string]string{"--tls=false": "false", "--tls": "true", "--namespace=n": "true"} {
		var o connectionOptions
		cmd := &cobra.Command{Use: "test"}
		o.connectionFlags(cmd)
		if err := cmd.ParseFlags([]string{arg}); err != nil {
			t.Fatal(err)
		}
		if got, _ := o.switchedOff(on)("TEMPORAL_TLS"); got != want {
			t.Errorf("%s: TEMPORAL_TLS is %s, want %s", arg, got, want)
		}
	}
}

// TestKeySwitchesTLSOn: who gives an API key to a server without TLS is told why it is
// used.
func TestKeySwitchesTLSOn(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain := &http.Server{ReadHeaderTimeout: time.Second}
	go plain.Serve(listener)
	defer plain.Close()
	none := func(string) (string, bool) { return "", false }
	for key, want := range map[string]bool{"a-key-of-a-cluster-0123456789": true, "": false} {
		o := connectionOptions{apiKey: key, tls: key == "", address: listener.Addr().String()}
		_, err := o.dial(t.Context(), none, nil, func(string) {}, streams{err: &console{w: io.Discard}})
		if err == nil || !strings.Contains(err.Error(), "--tls") || strings.Contains(err.Error(), "an API key switches TLS on") != want {
			t.Errorf("with key %q: %v", key, err)
		}
	}
}

// TestAPIKeyIsHidden: wherever it comes from, from the moment it is used.
func TestAPIKeyIsHidden(t *testing.T) {
	const key = "a-key-of-a-cluster-0123456789"
	for name, o := range map[string]connectionOptions{"flag": {apiKey: key, address: "127.0.0.1:1"}, "variable": {address: "127.0.0.1:1"}} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			std := streams{err: &console{w: &said}}
			env := func(name string) (string, bool) {
				if name == "TEMPORAL_API_KEY" && o.apiKey == "" {
					return key, true
				}
				return "", false
			}
			if _, err := o.dial(t.Context(), env, nil, func(string) {}, std); err == nil {
				t.Fatal("somebody answers")
			}
			if _, err := io.WriteString(std.err, "it is "+key+"\n"); err != nil || said.String() != "it is [hidden]\n" {
				t.Errorf("%q, %v", said.String(), err)
			}
		})
	}
}
