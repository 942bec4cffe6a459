package main

import (
	"context"
	"sync"
)

// Gate lets calls to a destination of AWS pass. While it is shut they wait, unanswered and uncounted: the slowest
// destination there can be.
type Gate struct {
	lock   sync.Mutex
	opened chan struct{} // nil while it is open
}

func (g *Gate) set(shut bool) {
	g.lock.Lock()
	defer g.lock.Unlock()
	switch {
	case shut && g.opened == nil:
		g.opened = make(chan struct{})
	case !shut && g.opened != nil:
		close(g.opened)
		g.opened = nil
	}
}

// pass returns once the gate is open; false if the caller has gone before.
func (g *Gate) pass(caller context.Context) bool {
	g.lock.Lock()
	opened := g.opened
	g.lock.Unlock()
	if opened == nil {
		return true
	}
	select {
	case <-opened:
		return true
	case <-caller.Done():
		return false
	}
}
