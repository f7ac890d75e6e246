package cli

import (
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// attachFlags are those of run that attach needs as well, to find the same batch on the
// same cluster. An API key is not among them, as it would be shown.
var attachFlags = slices.DeleteFunc(append([]string{"output", "backend", "set", "env-file"}, connectionFlagNames...), func(name string) bool { return name == "api-key" })

// attaching is the command that follows a batch which this one has handed over.
func (n *night) attaching(batch string) string {
	words := []string{"nightshift", "attach", n.file.Path, "--batch", batch}
	if cmd := n.connection.cmd; cmd != nil {
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if slices.Contains(attachFlags, f.Name) {
				words = append(words, flagWords(f)...)
			}
		})
	}
	for i, word := range words {
		words[i] = shellWord(word)
	}
	return strings.Join(words, " ")
}

// flagWords write a flag as it was given.
func flagWords(f *pflag.Flag) (words []string) {
	list, many := f.Value.(pflag.SliceValue)
	switch {
	case many:
		for _, value := range list.GetSlice() {
			words = append(words, "--"+f.Name, value)
		}
		return words
	case f.Value.Type() == "bool":
		return []string{"--" + f.Name + "=" + f.Value.String()}
	}
	return []string{"--" + f.Name, f.Value.String()}
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord quotes what a shell would not take as it is.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
