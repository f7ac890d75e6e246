package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"nightshift/schema"
)

// Item is one input of a batch.
type Item struct {
	// ID is the key, or the hash of the inputs, and the same in every invocation.
	// It is unique in its batch: equal inputs without a key get -2, -3, ... and a
	// row whose key is another's gets # and its line.
	ID     string
	Index  int            // place in the batch, from 0
	Inputs map[string]any // input node name to plain value; nil where Err is of class InvalidInput
	Digest string         // 32 hex digits over the inputs; "" where there are none
	Err    *ItemError     // why the item cannot be run
}

// Classes of what can be wrong with an item before it is run.
const (
	InvalidInput = "invalid_input"
	DuplicateKey = "duplicate_key"
)

// ItemError is one item that cannot be run among others that can.
type ItemError struct {
	Class   string
	Problem schema.Problem
}

func (e *ItemError) Error() string {
	p := e.Problem
	p.Snippet = ""
	return p.String()
}

// Items streams the items of the batch; memory does not grow with their number
// but for 16 to 43 bytes each, by which repeated ids are found. Items that
// cannot be run come with Err set. The error is one that ends the stream.
func (b *Batch) Items(stdin io.Reader, yield func(Item) bool) error {
	ids := b.identifier()
	return b.unnamed(stdin, func(u *unnamed) bool {
		ids.identify(&u.item, u.key, u.row)
		return yield(u.item)
	})
}

// unnamed is an item that has no id yet, and what its id is made of.
type unnamed struct {
	item Item
	key  string
	row  row
}

func (b *Batch) unnamed(stdin io.Reader, yield func(*unnamed) bool) error {
	m := b.mapper()
	source := b.Source
	source.pathsOnly = m.pathsOnly()
	index := 0
	return source.rows(stdin, func(r row) bool {
		u := unnamed{item: Item{Index: index}, row: r}
		err := r.err
		if err == nil {
			u.item.Inputs, u.key, err = m.item(r.values)
		}
		if err != nil {
			u.item.Inputs = nil
			u.item.Err = &ItemError{Class: InvalidInput, Problem: r.place}
			u.item.Err.Problem.Message = b.doc.redact.Message(err.Error())
			u.item.Err.Problem.Snippet = b.doc.redact.Text(r.place.Snippet)
		}
		index++
		return yield(&u)
	})
}

// identifier gives items their ids, which are unique within a batch.
type identifier struct {
	lines   bool // rows are told apart by their lines, else by their numbers
	seen    seen
	scratch []byte
}

func (b *Batch) identifier() *identifier { return &identifier{lines: b.Source.oneFile()} }

func (d *identifier) identify(item *Item, key string, r row) {
	var digest [sha256.Size]byte
	if item.Err == nil {
		d.scratch = AppendJSON(d.scratch[:0], item.Inputs)
		digest = sha256.Sum256(d.scratch)
		item.Digest = hex.EncodeToString(digest[:16])
	} else { // the same bad row has the same id wherever it stands
		raw := r.raw
		if raw == nil {
			raw = AppendJSON(nil, r.values)
		}
		digest = sha256.Sum256(raw)
	}
	var hash hash96
	if item.ID = key; key == "" {
		item.ID = hex.EncodeToString(digest[:8])
		copy(hash[:8], digest[:8])
	} else {
		digest = sha256.Sum256([]byte(key))
		copy(hash[:], digest[:])
	}
	number := d.seen.at(hash)
	switch {
	case key == "":
		if *number++; *number > 1 {
			item.ID += "-" + strconv.Itoa(int(*number))
		}
	case *number == 0:
		*number = d.where(item, r)
	default: // the id is another item's, and no two results may share one
		item.ID += "#" + strconv.Itoa(int(d.where(item, r)))
		if item.Err != nil {
			break
		}
		p := r.place
		p.Message = fmt.Sprintf("key %q is that of line %d too; keys must differ", key, *number)
		if !d.lines {
			p.Message = fmt.Sprintf("key %q of row %d of the batch is that of row %d too; keys must differ", key, item.Index+1, *number)
		}
		item.Err = &ItemError{Class: DuplicateKey, Problem: p}
	}
}

// where is the line of a row or, where several rows may have the same, its
// number in the batch.
func (d *identifier) where(item *Item, r row) uint32 {
	if d.lines {
		return uint32(min(max(r.place.Line, 1), math.MaxUint32))
	}
	return uint32(min(item.Index+1, math.MaxUint32))
}

// Lacks is the problem of ids that were asked for and that no item has.
func (b *Batch) Lacks(ids []string) schema.Problem {
	return b.doc.problem(b.key, "batch %s has no item %s", b.Name, strings.Join(ids, ", "))
}

// Empty is the problem of a batch without a single row.
func (b *Batch) Empty() schema.Problem {
	return b.doc.problem(b.key, "batch %s is empty: %s holds no rows", b.Name, b.Source.Describe())
}

// SourceProblem gives an error of Items its place.
func (b *Batch) SourceProblem(err error) schema.Problem {
	if e, ok := errors.AsType[*sourceError](err); ok {
		p := e.Problem
		p.Message, p.Snippet = b.doc.redact.Message(p.Message), b.doc.redact.Text(p.Snippet)
		return p
	}
	return b.doc.problem(b.key, "%v", err)
}
