package main

import (
	"bytes"
	"math"
	"syscall"
	"time"
	"unsafe"
)

var delivered = []byte(`"status":"delivered"`)

// run sends for the given time and returns once everything is answered, or patience is over.
func (l *Load) run(duration time.Duration) error {
	began := time.Now()
	total, interval := math.MaxInt, 0.0
	if l.rate > 0 {
		total, interval = int(l.rate*duration.Seconds()), 1e9/l.rate
	}
	for sent := 0; ; {
		elapsed := time.Since(began)
		for sent < total && len(l.idle) > 0 {
			due := int64(elapsed)
			if l.rate > 0 {
				due = int64(float64(sent) * interval)
			}
			if due > int64(elapsed) || due >= int64(duration) {
				break
			}
			if err := l.start(due); err != nil {
				return err
			}
			sent++
		}
		left := l.rate > 0 && sent < total
		if !left && l.busy == 0 && (l.rate > 0 || elapsed >= duration) {
			return nil
		}
		if elapsed > duration+l.patience {
			l.told.Errors["not answered in time"] += l.busy
			if left {
				l.told.Unsent = total - sent
			}
			return nil
		}
		wait := 100 * time.Millisecond
		if left && len(l.idle) > 0 {
			wait = min(wait, time.Duration(float64(sent)*interval)-elapsed)
		} else if l.rate == 0 && l.busy == 0 {
			wait = duration - elapsed
		}
		if err := l.serve(began, wait); err != nil {
			return err
		}
	}
}

// start sends the next request on an idle connection.
func (l *Load) start(due int64) error {
	c := l.idle[0]
	l.idle = l.idle[1:]
	request := l.requests[l.next%len(l.requests)]
	l.next++
	l.busy++
	if err := c.send(request, due); err != nil {
		return l.lost(c, err)
	}
	if len(c.out) > 0 {
		return l.watch(c, syscall.EPOLLIN|syscall.EPOLLOUT)
	}
	return nil
}

// serve waits for at most `wait`, then reads and writes where that is possible.
func (l *Load) serve(began time.Time, wait time.Duration) error {
	var events [256]syscall.EpollEvent
	count, err := syscall.EpollWait(l.epoll, events[:], 0)
	if count == 0 && err == nil {
		l.sleep(wait)
		count, err = syscall.EpollWait(l.epoll, events[:], 0)
	}
	if err != nil && err != syscall.EINTR {
		return err
	}
	for _, event := range events[:max(count, 0)] {
		c := l.open[event.Fd]
		if event.Events&syscall.EPOLLOUT != 0 && len(c.out) > 0 {
			if err := c.flush(); err != nil {
				if err := l.lost(c, err); err != nil {
					return err
				}
				continue
			}
			if len(c.out) == 0 {
				if err := l.watch(c, syscall.EPOLLIN); err != nil {
					return err
				}
			}
		}
		if event.Events&^syscall.EPOLLOUT == 0 {
			continue
		}
		answer, complete, err := c.receive()
		if err == nil && complete && !c.busy {
			err = errClosed
		}
		if err != nil {
			if err := l.lost(c, err); err != nil {
				return err
			}
		} else if complete {
			if err := l.finish(c, answer, int64(time.Since(began))); err != nil {
				return err
			}
		}
	}
	return nil
}

// sleep returns when something can be done, or after `wait`: epoll_wait(2) counts milliseconds, ppoll(2) nanoseconds.
func (l *Load) sleep(wait time.Duration) {
	poll := struct {
		fd              int32
		events, revents int16
	}{int32(l.epoll), 1, 0}
	timeout := syscall.NsecToTimespec(int64(max(wait, 0)))
	syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
}

// finish counts an answer; its connection is idle again.
func (l *Load) finish(c *Connection, answer Answer, now int64) error {
	l.busy--
	c.busy = false
	l.latencies.Add(now - c.due)
	l.told.Requests++
	l.told.Statuses[statusText(answer.status)]++
	switch answer.status {
	case 200, 202: // delivered, stored
		l.told.Acknowledged += l.events
	case 207:
		l.told.Acknowledged += bytes.Count(answer.body, delivered)
	}
	if answer.status != 200 && answer.status != 202 && l.told.Sample == "" {
		l.told.Sample = string(answer.body[:min(len(answer.body), mostSample)])
	}
	if answer.closes || len(c.out) > 0 {
		l.close(c)
		return l.connect()
	}
	l.idle = append(l.idle, c)
	return nil
}

// lost counts what went wrong with a connection, and opens another.
func (l *Load) lost(c *Connection, err error) error {
	if c.busy {
		l.busy--
	} else {
		for i, other := range l.idle {
			if other == c {
				l.idle = append(l.idle[:i], l.idle[i+1:]...)
				break
			}
		}
	}
	l.told.Errors[err.Error()]++
	l.close(c)
	return l.connect()
}

func (l *Load) close(c *Connection) {
	l.open[c.fd] = nil
	syscall.Close(c.fd)
}

func (l *Load) watch(c *Connection, events uint32) error {
	event := syscall.EpollEvent{Events: events, Fd: int32(c.fd)}
	return syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_MOD, c.fd, &event)
}

func statusText(status int) string {
	if status == 200 {
		return "200"
	}
	return string([]byte{byte('0' + status/100%10), byte('0' + status/10%10), byte('0' + status%10)})
}
