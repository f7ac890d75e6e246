package report

import (
	"cmp"
	"slices"
)

// orderPlace is all that is kept of a result until all are put in order: the
// index of its item, and its offset, which is ^offset in the second file.
type orderPlace struct{ index, offset int64 }

func newOrderPlace(index int, at place) orderPlace {
	if at.file > 0 {
		at.offset = ^at.offset
	}
	return orderPlace{int64(index), at.offset}
}

func (p orderPlace) place() place {
	if p.offset < 0 {
		return place{1, ^p.offset}
	}
	return place{0, p.offset}
}

// inOrder reads lines again, by the index of their items.
func (r *Results) inOrder(places []orderPlace, yield func(line []byte) error) error {
	slices.SortFunc(places, func(a, b orderPlace) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.offset, b.offset))
	})
	var line []byte
	for _, p := range places {
		var err error
		if line, err = r.line(p.place(), line); err != nil {
			return err
		}
		if err := yield(line); err != nil {
			return err
		}
	}
	return nil
}
