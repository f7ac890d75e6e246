package runner

// Passes are the passes over items of the batch that were handed over and whose end
// is not known, the oldest first.
func (g *Generation) Passes() []Begun {
	var passes []Begun
	for _, b := range g.Unended() {
		if b.Pass {
			passes = append(passes, b)
		}
	}
	return passes
}

// Has tells whether there is a result of an item with these inputs that stays. Those
// that did not succeed do not: it may have been run again since, and a line that is
// written once more takes its own place.
func (g *Generation) Has(id, digest string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.ended.entry(id)
	return s != nil && s.digest&(markAgain|markFailed) == 0 && s.isOf(g.ended, digest)
}

// Joined takes it in that a result was written which an earlier invocation has asked
// for: its item is not to be run again, unless it was asked to be, as it did not succeed.
func (g *Generation) Joined(l *Line) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.ended.entry(l.ID); s != nil && s.digest&markAgain == 0 && s.isOf(g.ended, l.Digest) {
		g.before.leaveOut(s.digest&markFailed != 0) // it counts as one that stays
	}
	delete(g.again, l.ID)
	g.remember(l, false)
}

// Known tells whether a journal was there, so that a generation was begun before.
func (g *Generation) Known() bool { return g.had }

// Finished tells whether the generation was completed, as far as items were asked for,
// also if the source has others now.
func (g *Generation) Finished() bool { return g.was != nil || g.header.Ended }
