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

// Has tells whether there is a result of an item with these inputs that stays.
func (g *Generation) Has(id, digest string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.ended.entry(id)
	return s != nil && s.digest&^marks == g.ended.hashDigest(digest) && s.digest&markAgain == 0
}

// Joined takes it in that a result was written which an earlier invocation has asked
// for: its item is not to be run again.
func (g *Generation) Joined(l *Line) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended.add(l.ID, l.Digest, false, l.Status != Succeeded)
	delete(g.again, l.ID)
	g.before.Add(l)
}
