// The load generator and the destinations of the benchmark, in one program: `bench load ...` and `bench stubs ...`.
//
// Nothing but the standard library. Linux only: the load is one thread around epoll, so that it takes as little of its
// core as can be and keeps its schedule to some microseconds.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("say `load` or `stubs`"))
	}
	var err error
	switch os.Args[1] {
	case "load":
		err = runLoad(os.Args[2:])
	case "stubs":
		err = runStubs(os.Args[2:])
	default:
		err = fmt.Errorf("%q is neither `load` nor `stubs`", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func printJSON(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}

// untilStdinCloses ends the program when its starter closes standard input, or dies.
func untilStdinCloses() {
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
