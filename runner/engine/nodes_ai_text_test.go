package engine

import (
	"testing"

	"nightshift/runner"
)

// Half a translation is none.
func TestCutTexts(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{
		"summarizer": `node n (summarizer): the summary was cut (length): "short"; raise max_tokens, or shorten the text`,
		"translator": `node n (translator): the translation was cut (length): "kurz"; raise max_tokens, or shorten the text`,
	} {
		m := newModel(t, func(int, question) reply { return reply{text: aiNodes[typ].answer, finish: "length"} })
		status := runToEnd(t, m.engine(t, Options{}), aiPipeline(typ), runner.Inputs{"in": "x"})
		checkError(t, status.Err, want)
		if status.Usage == nil || status.Usage.OutputTokens != 5 {
			t.Errorf("%s: usage %+v", typ, status.Usage)
		}
	}
}
