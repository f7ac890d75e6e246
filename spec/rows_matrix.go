package spec

import "nightshift/schema"

// matrixRows makes a row of every combination; the last axis turns fastest.
func matrixRows(axes []axisOf, place schema.Problem, yield rowFunc) {
	at := make([]int, len(axes))
	for {
		r := row{place: place, values: make(map[string]any, len(axes))}
		for i, axis := range axes {
			r.values[axis.name] = axis.values[at[i]]
		}
		if !yield(r) {
			return
		}
		i := len(axes) - 1
		for ; i >= 0; i-- {
			if at[i]++; at[i] < len(axes[i].values) {
				break
			}
			at[i] = 0
		}
		if i < 0 {
			return
		}
	}
}
