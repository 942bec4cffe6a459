package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"unsafe"
)

var errClosed = errors.New("the server closed a connection in the middle")

// Connection is one keep-alive connection with at most one request under way.
type Connection struct {
	fd   int
	out  []byte // what is still to be written of the request
	in   []byte // what was read of the answer
	due  int64  // when the request was to be sent, in nanoseconds
	busy bool
}

// send writes as much of the request as the socket takes; the rest waits in `out`.
func (c *Connection) send(request []byte, due int64) error {
	c.out, c.due, c.busy = request, due, true
	c.in = c.in[:0]
	return c.flush()
}

func (c *Connection) flush() error {
	for len(c.out) > 0 {
		// Raw: the descriptor does not block, so the scheduler need not know
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(&c.out[0])), uintptr(len(c.out)))
		if errno == syscall.EAGAIN {
			return nil
		}
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return errno
		}
		c.out = c.out[n:]
	}
	return nil
}

// receive reads what is there; true once the answer is complete.
func (c *Connection) receive() (Answer, bool, error) {
	if cap(c.in)-len(c.in) < 4096 {
		grown := make([]byte, len(c.in), 2*cap(c.in)+16384)
		copy(grown, c.in)
		c.in = grown
	}
	free := c.in[len(c.in):cap(c.in)]
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&free[0])), uintptr(len(free)))
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return Answer{}, false, nil
	case errno != 0:
		return Answer{}, false, errno
	case n == 0:
		return Answer{}, false, errClosed
	}
	c.in = c.in[:len(c.in)+int(n)]
	return parseAnswer(c.in)
}

// Answer is a complete HTTP/1.1 answer. Its body is only valid until the connection is used again.
type Answer struct {
	status int
	body   []byte
	closes bool
}

var endOfHead, colon = []byte("\r\n\r\n"), []byte(":")

// parseAnswer tells whether `data` is a complete answer. It knows answers with a Content-Length, which all of ours have.
func parseAnswer(data []byte) (Answer, bool, error) {
	end := bytes.Index(data, endOfHead)
	if end < 0 {
		return Answer{}, false, nil
	}
	if end < 12 || !bytes.HasPrefix(data, []byte("HTTP/1.1 ")) {
		return Answer{}, false, fmt.Errorf("no HTTP/1.1 answer: %.60q", data)
	}
	status, err := strconv.Atoi(string(data[9:12]))
	if err != nil {
		return Answer{}, false, fmt.Errorf("no status: %.60q", data)
	}
	answer := Answer{status: status}
	length := -1
	for rest := data[:end]; len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		if len(line) < 10 || line[0]|32 != 'c' {
			continue
		}
		name, value, _ := bytes.Cut(line, colon)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return Answer{}, false, fmt.Errorf("no length: %.60q", line)
			}
		case bytes.EqualFold(name, []byte("connection")):
			answer.closes = bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		}
	}
	if length < 0 {
		return Answer{}, false, fmt.Errorf("an answer without Content-Length: %.200q", data[:end])
	}
	body := data[end+4:]
	if len(body) > length {
		return Answer{}, false, fmt.Errorf("more than one answer to a request")
	}
	if len(body) < length {
		return Answer{}, false, nil
	}
	answer.body = body
	return answer, true, nil
}
