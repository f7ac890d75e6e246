package spec

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadEnvFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".env")
	write(t, path, "\ufeff"+strings.Join([]string{
		"# comment", "", "  # indented comment", "PLAIN=a b ", "export EXPORTED=1", "SPACED = x y",
		"EMPTY=", "COMMENT=a # not this", "ONLY= # not this", "HASH=a#b", `SINGLE='a $B \n # c'`, `DOUBLE="a\nb\"c\\d\$e\z # f" # not this`,
		"EQUALS=a=b=c", "CRLF=x\r", "QUOTE=it's", "TWICE=1", "TWICE=2", "_9=ok", `DOLLAR=${PLAIN}`,
	}, "\n"))
	got, err := ReadEnvFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"PLAIN": "a b", "EXPORTED": "1", "SPACED": "x y", "EMPTY": "", "COMMENT": "a", "ONLY": "", "HASH": "a#b",
		"SINGLE": `a $B \n # c`, "DOUBLE": "a\nb\"c\\d$e\\z # f", "EQUALS": "a=b=c", "CRLF": "x", "QUOTE": "it's",
		"TWICE": "2", "_9": "ok", "DOLLAR": "${PLAIN}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestReadEnvFileErrors names every bad line, and never says what is in it.
func TestReadEnvFileErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".env")
	write(t, path, "OK=1\nhunter2\n9A=hunter2\nB=\"hunter2\nC='hunter2' more\n=hunter2\nA-B=hunter2\nexport =hunter2\n")
	_, err := ReadEnvFile(path)
	if err == nil {
		t.Fatal("no error")
	}
	for _, line := range []string{":2:1:", ":3:1:", ":4:1:", ":5:1:", ":6:1:", ":7:1:", ":8:1:"} {
		mustContain(t, err.Error(), path+line+" not a line of the form NAME=value")
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), ":1:1:") {
		t.Errorf("%v", err)
	}
	_, err = ReadEnvFile(path + ".none")
	if err == nil || !strings.Contains(err.Error(), "cannot read the env file: no such file") {
		t.Errorf("%v", err)
	}
}
