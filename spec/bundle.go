package spec

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"nightshift/schema"
)

// Bundle is a batch file with the files that it is made of, for another machine: not
// the files of its rows, and no secret.
type Bundle struct {
	Path      string            `json:"path"`                // of the batch file, absolute
	Files     map[string][]byte `json:"files"`               // by absolute path: the batch file, its pipeline files, its code files
	Set       []string          `json:"set,omitempty"`       // --set values, also that of --backend
	Variables map[string]string `json:"variables,omitempty"` // that were looked up, are set, and are no secrets
	Secrets   []string          `json:"secrets,omitempty"`   // names of those that are; whoever loads the bundle has to have them
}

// Bundle gives what another machine needs of a batch file that is valid. The error,
// which says what to write instead, is one about secrets: what the file's Redactor
// hides may stand in variables, but nowhere else.
func (f *File) Bundle() (*Bundle, error) {
	r := f.read
	if r == nil {
		return nil, errors.New("the batch file was not loaded from anywhere")
	}
	b := &Bundle{Path: r.path, Files: map[string][]byte{}, Set: r.sets, Variables: map[string]string{}}
	for path, file := range r.files {
		b.Files[path] = file.content
	}
	ofKeys := f.keyVariables()
	for _, name := range slices.Sorted(maps.Keys(r.variables)) {
		if value := r.variables[name]; value != "" && (ofKeys[name] || f.Redactor.find(value) >= 0) {
			b.Secrets = append(b.Secrets, name)
		} else {
			b.Variables[name] = value
		}
	}
	search := &secretSearch{reading: r, hide: f.Redactor}
	if search.inValues(b.Secrets); search.problems == nil { // else each would be found twice
		search.inText()
	}
	search.hiddenOtherwise(b.Secrets)
	if search.problems != nil {
		return nil, search.problems.Sort()
	}
	return b, nil
}

// AppendJSON appends the bundle as JSON; equal bundles give equal bytes.
func (b *Bundle) AppendJSON(to []byte) []byte {
	text, _ := json.Marshal(b) // maps and texts: it cannot fail
	return append(to, text...)
}

// Digest stands for all that the bundle holds, in 32 hex digits.
func (b *Bundle) Digest() string {
	sum := sha256.Sum256(b.AppendJSON(nil))
	return hex.EncodeToString(sum[:16])
}

// Load reads and checks the batch file as [Load] does, from the bundle alone: nothing
// is read from the disk, and the rows of batches are not looked at. Secrets are looked
// up in env (nil: the process's variables), and are hidden as they were where the
// bundle was made.
func (b *Bundle) Load(env Environment) (*File, schema.Problems) {
	if env == nil {
		env = os.LookupEnv
	}
	var missing schema.Problems
	secrets := map[string]string{}
	for _, name := range b.Secrets {
		if secrets[name], _ = env(name); secrets[name] == "" {
			missing = append(missing, schema.Problem{File: b.Path, Message: fmt.Sprintf("variable %s is a secret which this worker does not have; set it in its environment, or give it --env-file", name)})
		}
	}
	if len(missing) > 0 {
		return nil, missing
	}
	r := newReading(Options{Set: b.Set, Env: func(name string) (string, bool) {
		if value, secret := secrets[name]; secret {
			return value, true
		}
		value, set := b.Variables[name]
		return value, set
	}})
	r.bundled = true
	for path, content := range b.Files {
		r.keep(path, content)
	}
	f, problems := parse(b.Path, b.Files[b.Path], r)
	if f != nil {
		f.Redactor = f.Redactor.withSecrets(secrets)
	}
	for i := range problems {
		problems[i].Snippet = "" // they are told far from the file, in one line
	}
	return f, problems
}

// withSecrets is a Redactor that hides the values of variables as well; of those in
// which it hides something already, no more than that, as the one who found them to be
// secrets may have known no more.
func (r *Redactor) withSecrets(variables map[string]string) *Redactor {
	values := slices.SortedFunc(maps.Values(variables), func(a, b string) int { return cmp.Or(len(a)-len(b), cmp.Compare(a, b)) })
	for _, value := range values {
		if r.find(value) < 0 {
			r = r.WithKeys([]string{value})
		}
	}
	return r
}
