package spec

import (
	"strings"
	"testing"
)

// TestLocalWords are warned of where the platform is to run them.
func TestLocalWords(t *testing.T) {
	const head = "version: 1\nbatches: {b: {inputs: [{}]}}\npipeline:\n  name: p\n  nodes:\n"
	const out = "    out: {type: output, inputs: {value: \"{{ a.complete }}\"}}\n"
	for _, test := range []struct{ node, want string }{
		{`{type: text_to_file, inputs: {text: a, file_name: b, file_type: MD}}`, "6:72: warning: node a (text_to_file): file_type MD is known on this machine only; the platform has DOCX, PDF, TXT"},
		{`{type: text_to_file, execution_mode: batch, inputs: {text: a, file_name: b, file_type: [TXT, CSV]}}`, "6:101: warning: node a (text_to_file): file_type CSV is known"},
		{`{type: filter_list, inputs: {list_to_filter: [a], condition_type: NotEqual, condition_value: b, output_blank_value: false}}`, "6:74: warning: node a (filter_list): condition_type NotEqual is known on this machine only; the platform has Equal, GreaterThan, IsEmpty"},
		{`{type: text_to_file, inputs: {text: MD, file_name: MD, file_type: TXT}}`, ""},
	} {
		for backend, want := range map[string]string{"vectorshift": test.want, "local": ""} {
			_, problems := Parse("batch.yaml", []byte(head+"    a: "+test.node+"\n"+out+"run: {backend: "+backend+"}\n"), Options{})
			wrong, warnings := problems.Split()
			if got := warnings.Error(); wrong != nil || !strings.Contains(got, want) || want == "" && strings.Contains(got, "machine") {
				t.Errorf("%s on %s: %v, warnings: %s", test.node, backend, wrong, got)
			}
		}
	}
}
