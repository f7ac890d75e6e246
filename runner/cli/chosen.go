package cli

import (
	"slices"

	"nightshift/runner"
	"nightshift/spec"
)

// chosen is the past of a batch whose results are not kept: nothing has ended, and
// some items are asked for.
type chosen struct {
	met    map[string]bool // whether the source has had them, by id as it is written
	redact *spec.Redactor
}

func newChosen(ids []string, redact *spec.Redactor) *chosen {
	c := &chosen{met: map[string]bool{}, redact: redact}
	for _, id := range ids {
		c.met[redact.ID(id)] = false
	}
	return c
}

// Of skips what is not asked for.
func (c *chosen) Of(it *spec.Item) runner.Standing {
	id := c.redact.ID(it.ID)
	if _, asked := c.met[id]; !asked {
		return runner.Standing{Skip: true}
	}
	c.met[id] = true
	return runner.Standing{}
}

// Orphans are none.
func (c *chosen) Orphans() []runner.Begun { return nil }

// missing are the ids that the source has not had.
func (c *chosen) missing() []string {
	var ids []string
	for id, met := range c.met {
		if !met {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
