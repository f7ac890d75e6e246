package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Everything is below one of these folders. A pass or a run owns all that is below
// its key, so that it can be forgotten as one.
const (
	specsFolder  = "specs/"
	PassesFolder = "passes/" // keys of passes begin with it
	runsFolder   = "runs/"
)

// PassKey is where a pass over a batch is. The nonce tells it from other passes of
// the generation.
func PassKey(generation, batch, nonce string) string {
	return passesOf(generation, batch) + escape(nonce)
}

// RunKey is where a single run of that workflow id is.
func RunKey(id string) string { return runsFolder + escape(id) }

func passesOf(generation, batch string) string {
	return PassesFolder + escape(generation) + "/" + escape(batch) + "/"
}

// BundleKey is where a batch file of that digest is.
func BundleKey(digest string) string { return specsFolder + digest + ".json" }

func passObject(pass string) string         { return pass + "/pass.json" }
func startObject(run string) string         { return run + "/start.json" }
func endObject(run string) string           { return run + "/end.json" }
func itemsObject(pass string, n int) string { return fmt.Sprintf("%s/items/%06d.jsonl", pass, n) }

// resultsFolder holds all that attempts of a shard wrote.
func resultsFolder(pass string, shard int) string {
	return fmt.Sprintf("%s/results/%06d/", pass, shard)
}

// fileObject is a file that inputs name. Paths may be longer than keys may.
func fileObject(prefix, path string) string {
	sum := sha256.Sum256([]byte(path))
	return prefix + "/files/" + hex.EncodeToString(sum[:16])
}

// longest is how many bytes of a name a key holds: file systems take 255.
const longest = 200

// escape makes any text one plain name of a file, another one for another text.
func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	name := b.String()
	if name == "" {
		return "%"
	}
	if len(name) > longest {
		sum := sha256.Sum256([]byte(text))
		name = name[:longest-33] + "%" + hex.EncodeToString(sum[:16])
	}
	return name
}
