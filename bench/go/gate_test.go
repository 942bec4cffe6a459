package main

import (
	"context"
	"testing"
	"time"
)

func TestAShutGateLetsCallsPassOnceItOpensAndForgetsThoseWhoHaveGone(t *testing.T) {
	var gate Gate
	if !gate.pass(context.Background()) {
		t.Fatal("a new gate is shut")
	}
	gate.set(true)
	gate.set(true) // again: those who wait must not be forgotten
	gone, leave := context.WithCancel(context.Background())
	passed := make(chan bool)
	go func() { passed <- gate.pass(gone) }()
	leave()
	if <-passed {
		t.Error("a caller that has gone has passed")
	}
	go func() { passed <- gate.pass(context.Background()) }()
	select {
	case <-passed:
		t.Fatal("a shut gate lets a call pass")
	case <-time.After(20 * time.Millisecond):
	}
	gate.set(false)
	if !<-passed {
		t.Error("a call that waited has not passed")
	}
}
