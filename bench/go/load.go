package main

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
)

const (
	prSetSlack  = 29 // PR_SET_TIMERSLACK, prctl(2)
	mostSample  = 400
	sndbufBytes = 1 << 18
)

// Load sends prepared requests over keep-alive connections. Closed loop: each connection sends its next request when
// its last one is answered. Open loop (rate > 0): requests are due at fixed intervals, whatever becomes of them, and
// latency counts from when they were due. Idle connections take turns, so that all of them are used.
//
// Once connected it says so and waits for a line of standard input; its connections stay open until that closes. So
// whoever started it can tell what the requests have cost from what connecting has.
type Load struct {
	requests [][]byte
	events   int // in each request
	rate     float64
	patience time.Duration // how long answers may take after the end

	epoll   int
	address syscall.SockaddrInet4
	open    []*Connection // by descriptor
	idle    []*Connection
	busy    int
	next    int // request to be sent

	told      Told
	latencies Histogram
}

// Told is what a run found, one line of JSON.
type Told struct {
	Requests     int            `json:"requests"`
	Acknowledged int            `json:"acknowledged"`
	Seconds      float64        `json:"seconds"`
	PerSecond    float64        `json:"per_second"`
	Statuses     map[string]int `json:"statuses"`
	Errors       map[string]int `json:"errors"`
	Unsent       int            `json:"unsent"`
	P50          float64        `json:"p50_ms"`
	P99          float64        `json:"p99_ms"`
	P999         float64        `json:"p999_ms"`
	CPU          float64        `json:"cpu_share"`
	Sample       string         `json:"sample"`
}

func runLoad(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	address := flags.String("address", "", "IPv4 address and port")
	file := flags.String("requests", "", "whole requests, each after its length in 4 bytes, big-endian")
	events := flags.Int("events", 1, "events in each request")
	connections := flags.Int("connections", 64, "connections")
	seconds := flags.Float64("seconds", 5, "how long to send")
	rate := flags.Float64("rate", 0, "requests a second, open loop; 0 is a closed loop")
	patience := flags.Float64("patience", 15, "seconds that answers may take after the end")
	flags.Parse(arguments)
	requests, err := readRequests(*file)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	syscall.RawSyscall(syscall.SYS_PRCTL, prSetSlack, 1, 0) // else timers are 50 us late
	load := Load{requests: requests, events: *events, rate: *rate, patience: time.Duration(*patience * 1e9)}
	load.told = Told{Statuses: map[string]int{}, Errors: map[string]int{}}
	if err := load.connectAll(*address, *connections); err != nil {
		return err
	}
	starter := bufio.NewReader(os.Stdin)
	if err := printJSON(map[string]int{"connected": *connections}); err != nil {
		return err
	}
	if _, err := starter.ReadString('\n'); err != nil {
		return nil // it has changed its mind, or died
	}
	cpu, began := cpuSeconds(), time.Now()
	if err := load.run(time.Duration(*seconds * 1e9)); err != nil {
		return err
	}
	load.told.Seconds = time.Since(began).Seconds()
	load.told.CPU = (cpuSeconds() - cpu) / load.told.Seconds
	if err := printJSON(load.result()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, starter)
	return err
}

func readRequests(file string) ([][]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var requests [][]byte
	for len(data) >= 4 {
		size := int(binary.BigEndian.Uint32(data))
		if len(data) < 4+size {
			return nil, fmt.Errorf("%s ends within a request", file)
		}
		requests, data = append(requests, data[4:4+size]), data[4+size:]
	}
	if len(requests) == 0 {
		return nil, fmt.Errorf("%s holds no request", file)
	}
	return requests, nil
}

func (l *Load) connectAll(address string, count int) error {
	where, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return err
	}
	l.address.Port = where.Port
	copy(l.address.Addr[:], where.IP.To4())
	if l.epoll, err = syscall.EpollCreate1(0); err != nil {
		return err
	}
	for range count {
		if err := l.connect(); err != nil {
			return fmt.Errorf("%s cannot be reached: %w", address, err)
		}
	}
	return nil
}

// connect adds one connection to the idle ones.
func (l *Load) connect() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, sndbufBytes)
	if err := syscall.Connect(fd, &l.address); err != nil {
		syscall.Close(fd)
		return err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	for len(l.open) <= fd {
		l.open = append(l.open, nil)
	}
	c := &Connection{fd: fd}
	l.open[fd] = c
	l.idle = append(l.idle, c)
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	return syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &event)
}

// result is what was found, complete.
func (l *Load) result() Told {
	told := l.told
	told.PerSecond = float64(told.Acknowledged) / told.Seconds
	milliseconds := func(share float64) float64 { return float64(l.latencies.Quantile(share)) / 1e6 }
	told.P50, told.P99, told.P999 = milliseconds(0.5), milliseconds(0.99), milliseconds(0.999)
	return told
}

// cpuSeconds is the CPU time of this process so far, user and system.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
