package engine

import (
	"fmt"

	"nightshift/runner"
)

// maxRounds is how often a loop goes round at most: what stops it must be in it.
const maxRounds = 100

// loop is a part of a program that runs in rounds.
type loop struct {
	index int // among the loops of the program
	entry int
	body  []int

	// The entry from the second round on.
	again wiring
	step  step
}

// loops finds the loops, and sets apart those users of their nodes that wait for
// the last round.
func (c *compiler) loops() {
	all, broken := c.pipeline.Loops()
	c.problems = append(c.problems, broken...)
	for _, found := range all {
		l := &loop{index: len(c.program.loops), entry: c.index[found.Entry.Name]}
		for _, n := range found.Body {
			if n.Type == "input" {
				c.problems = append(c.problems, n.Problem("", "node %s is in the loop of node %s; an input is the same in every round, so it must not wait for a node of it", n.Name, found.Entry.Name))
			}
			i := c.index[n.Name]
			l.body = append(l.body, i)
			made := c.program.nodes[i]
			made.loop = l
		}
		for _, i := range l.body {
			n := c.program.nodes[i]
			users := n.users
			n.users = nil
			for _, user := range users {
				if to := c.program.nodes[user]; to.loop == l {
					n.users = append(n.users, user)
					to.inner++
				} else {
					n.behind = append(n.behind, user)
				}
			}
		}
		kind, again, needs := nodeTypes[found.Entry.Type], found.Entry.Round(), c.program.needs
		l.step = c.step(again, kind, c.program.nodes[l.entry])
		needs.add(c.program.needs) // mostly the same once more
		c.program.needs = needs
		l.again = c.wire(again, kind)
		c.program.loops = append(c.program.loops, l)
	}
}

// round is how a run stands in a loop.
type round struct {
	number int
	left   int // nodes of the body that have not ended
}

// turn counts a node of a loop that has ended, or was skipped, in this round.
// After the last of them the entry is ready for another one, or those who wait
// for the end of the loop are.
func (r *run) turn(l *loop, ready []int) ([]int, error) {
	at := &r.rounds[l.index]
	if at.left--; at.left > 0 {
		return ready, nil
	}
	entry := r.program.nodes[l.entry]
	if r.skipped[l.entry] || r.skips(&l.again) {
		for _, i := range l.body {
			if r.watcher != nil && !r.skipped[i] {
				r.watcher.ended(r, r.program.nodes[i]) // what it said in one round is not the last word
			}
			ready = r.free(r.program.nodes[i].behind, ready)
		}
		return ready, nil
	}
	if at.number++; at.number >= maxRounds {
		return ready, &runner.RunError{Node: entry.name, Type: entry.typ, Err: fmt.Errorf("its loop went round %d times; a condition in it must stop it", maxRounds)}
	}
	at.left = len(l.body)
	for _, i := range l.body {
		r.waiting[i] = r.program.nodes[i].inner
		r.skipped[i] = false
	}
	return append(ready, l.entry), nil
}

// work is what a node of a loop does in this round, and what decides whether it does.
func (r *run) work(i int) (step, *wiring) {
	n := r.program.nodes[i]
	if l := n.loop; l.entry == i && r.rounds[l.index].number > 0 {
		return l.step, &l.again
	}
	return n.step, &n.wiring
}
