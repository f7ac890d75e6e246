package runner

import "bytes"

// ParseResult reads a result line, with or without its newline. Inputs and
// outputs are plain values, as spec.ParseJSON gives them.
func ParseResult(text []byte) (*Result, error) {
	r := &Result{}
	if err := r.parse(text, true); err != nil {
		return nil, err
	}
	return r, nil
}

// ReadResult reads a result line that stays as it is: AppendJSON gives these bytes
// again. Inputs and outputs are left out. The text is kept.
func ReadResult(text []byte) (*Result, error) {
	r := &Result{Raw: bytes.TrimSuffix(text, []byte("\n"))}
	if err := r.parse(r.Raw, false); err != nil {
		return nil, err
	}
	return r, nil
}
