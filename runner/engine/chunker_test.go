package engine

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"
)

var dividers = map[string]divider{"words": firstWord, "sentences": firstSentence, "paragraphs": firstParagraph, "markdown": firstBlock}

// checkChunks holds chunks against what they are to be, whatever the text.
func checkChunks(t interface {
	Errorf(format string, args ...any)
}, text string, k chunker, by divider) {
	bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
	chunks := k.chunks(text, by)
	var joined strings.Builder
	at := 0 // where the next chunk begins at the earliest
	for i, v := range chunks {
		chunk := v.(string)
		joined.WriteString(chunk)
		if strings.TrimSpace(chunk) != chunk || chunk == "" {
			t.Errorf("chunk %d has white space at its ends: %q", i, chunk)
		}
		if utf8.RuneCountInString(chunk) > k.size && uniseg.GraphemeClusterCount(chunk) > 1 {
			t.Errorf("chunk %d of at most %d characters: %q", i, k.size, chunk)
		}
		begins := strings.Index(text[at:], chunk)
		if begins < 0 {
			t.Errorf("chunk %d is not in the text: %q", i, chunk)
			return
		}
		at += begins
		if i > 0 && k.overlap == 0 {
			at += len(chunk)
		}
	}
	if k.overlap == 0 && bare(joined.String()) != bare(text) {
		t.Errorf("chunks %q of %q", chunks, text)
	}
}

// Chunks cover the text in its order, are never too long, and cut no character.
func TestChunksOfAnyText(t *testing.T) {
	t.Parallel()
	pieces := rapid.SampledFrom([]string{
		"word", "a", "Sentence one. ", "Why? ", " ", "\n", "\n\n", "\r\n \r\n", "# Head\n", "## ", "```\n", "~~~ sh\n", "- item\n",
		"e\u0301", "👨‍👩‍👧‍👦", "世界。", strings.Repeat("long", 9), "\t", "\u00a0", "1.5", "| a | b |\n",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(pieces, 0, 60).Draw(t, "text"), "")
		k := chunker{size: rapid.IntRange(1, 60).Draw(t, "size")}
		if rapid.Bool().Draw(t, "overlaps") {
			k.overlap = rapid.IntRange(0, k.size-1).Draw(t, "overlap")
		}
		name := rapid.SampledFrom([]string{"words", "sentences", "paragraphs", "markdown"}).Draw(t, "by")
		checkChunks(t, text, k, dividers[name])
	})
}

// With an overlap, too, nothing is lost and every chunk brings something new; what
// neighbours share is not longer than the overlap.
func TestChunksThatOverlap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		between := rapid.SliceOfN(rapid.SampledFrom([]string{" ", ". ", "\n", "\n\n", ".\n\n", "\n# ", "\n```\n"}), 1, 80).Draw(t, "between")
		for i, s := range between {
			text.WriteString("w" + strconv.Itoa(i) + s)
		}
		k := chunker{size: rapid.IntRange(8, 80).Draw(t, "size")}
		k.overlap = rapid.IntRange(1, k.size-1).Draw(t, "overlap")
		by := rapid.SampledFrom([]string{"words", "sentences", "paragraphs", "markdown"}).Draw(t, "by")
		end := 0 // of the words so far
		for _, v := range k.chunks(text.String(), dividers[by]) {
			chunk := v.(string)
			words := regexp.MustCompile(`w\d+`).FindAllString(chunk, -1)
			if len(words) == 0 {
				continue // a fence
			}
			first, _ := strconv.Atoi(words[0][1:])
			if first > end || first+len(words) <= end && !strings.HasSuffix(chunk, "#") && !strings.Contains(chunk, "```") {
				t.Fatalf("chunk %q after word %d", chunk, end)
			}
			if shared := end - first; shared > 0 {
				last := "w" + strconv.Itoa(end-1)
				if n := strings.Index(chunk, last) + len(last); n > k.overlap {
					t.Errorf("chunk %q shares %d characters, of %d", chunk, n, k.overlap)
				}
			}
			end = max(end, first+len(words))
		}
		if end != len(between) {
			t.Errorf("%d words of %d", end, len(between))
		}
	})
}

func FuzzChunks(f *testing.F) {
	f.Add("# Head\n\nOne. Two.\n```\ncode\n```\n", 8, 3)
	f.Add("e\u0301👨‍👩‍👧‍👦 ...", 1, 0)
	f.Fuzz(func(t *testing.T, text string, size, overlap int) {
		size = 1 + max(size, -size)&63
		overlap = max(overlap, -overlap) & 63 % size
		if !utf8.ValidString(text) || overlap < 0 {
			t.Skip()
		}
		for _, by := range dividers {
			checkChunks(t, text, chunker{size, overlap}, by)
		}
	})
}

// Neighbours share at most the overlap, and as much of it as whole units allow.
func TestOverlapOfChunks(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("abcd ", 50)
	chunks := chunker{size: 20, overlap: 10}.chunks(text, firstWord)
	for i, v := range chunks[:len(chunks)-1] {
		end := v.(string)[len("abcd abcd "):]
		if next := chunks[i+1].(string); !strings.HasPrefix(next, end[:4]) || len(v.(string)) != 19 {
			t.Errorf("%q, then %q", v, next)
		}
	}
	same(t, "number", len(chunks), 24)
}

// A large text is cut in time that grows with its length, also one word.
func TestChunksOfALargeText(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"one word": strings.Repeat("x", 1<<18), "words": strings.Repeat("word ", 1<<16), "lines": strings.Repeat("a line\n", 1<<15),
		"spaces": strings.Repeat(" ", 1<<18), "headings": strings.Repeat("# h\n", 1<<16), "fences": strings.Repeat("```\n", 1<<16),
	} {
		for by, divide := range dividers {
			n := len(chunker{size: 2048, overlap: 100}.chunks(text, divide))
			if name != "spaces" && n < 100 && (name != "headings" || by != "markdown") || name == "spaces" && n != 0 {
				t.Errorf("%s by %s: %d chunks", name, by, n)
			}
		}
	}
}
