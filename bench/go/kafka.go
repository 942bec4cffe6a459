package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// Keys of the APIs (Kafka protocol guide, API keys) and of the errors that are answered.
const (
	apiProduce        = 0
	apiFetch          = 1
	apiMetadata       = 3
	apiVersions       = 18
	apiInitProducerID = 22

	errNone            = 0
	errUnknownTopic    = 3
	errUnsupported     = 35
	errOutOfOrder      = 45
	mostRequestBytes   = 100 << 20
	headOfBatch        = 61
	producerIDOfNobody = -1
)

// versions that are spoken: none of the flexible ones. Fetch only stands there because librdkafka takes its absence for
// a broker without record batches of version 2 (rdkafka_feature.c, MSGVER2).
var versions = [][3]int16{
	{apiProduce, 3, 7}, {apiFetch, 4, 10}, {apiMetadata, 4, 4}, {apiVersions, 0, 0}, {apiInitProducerID, 0, 1},
}

// Cluster is a Kafka cluster with one topic that acknowledges everything and stores nothing. A batch that an idempotent
// producer sends again is acknowledged and not counted again, as a broker would not store it twice.
type Cluster struct {
	topic      string
	partitions int
	counts     *Counts

	ports     []int32
	producers atomic.Int64
	lock      sync.Mutex
	sequences map[sequence]int32 // the next one expected
}

type sequence struct {
	producer  int64
	partition int32
}

// listen opens the brokers' ports; returns the bootstrap list.
func (c *Cluster) listen(brokers int) (string, error) {
	c.sequences = map[sequence]int32{}
	var names []string
	var listeners []net.Listener
	for range brokers {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		listeners = append(listeners, listener)
		names = append(names, listener.Addr().String())
		c.ports = append(c.ports, int32(listener.Addr().(*net.TCPAddr).Port))
	}
	for _, listener := range listeners {
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				go c.serve(connection)
			}
		}()
	}
	return strings.Join(names, ","), nil
}

func (c *Cluster) serve(connection net.Conn) {
	defer connection.Close()
	in := bufio.NewReaderSize(connection, 256<<10)
	var request []byte
	answer := Writer{}
	for {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return
		}
		length := int(binary.BigEndian.Uint32(size[:]))
		if length > mostRequestBytes {
			return
		}
		if cap(request) < length {
			request = make([]byte, length)
		}
		request = request[:length]
		if _, err := io.ReadFull(in, request); err != nil {
			return
		}
		answer.data = append(answer.data[:0], 0, 0, 0, 0)
		answers, err := c.answer(&Reader{data: request}, &answer)
		if err != nil {
			c.counts.Unknown.Add(1)
			return
		}
		if !answers {
			continue
		}
		binary.BigEndian.PutUint32(answer.data, uint32(len(answer.data)-4))
		if _, err := connection.Write(answer.data); err != nil {
			return
		}
	}
}

// answer appends the answer to one request, header first; false if there is none (acks=0).
func (c *Cluster) answer(r *Reader, w *Writer) (bool, error) {
	api, version := r.int16(), r.int16()
	w.int32(r.int32()) // correlation id
	r.text()           // client id
	spoken := false
	for _, each := range versions {
		spoken = spoken || each[0] == api && each[1] <= version && version <= each[2]
	}
	switch {
	case api == apiVersions:
		c.tellVersions(w, spoken)
	case !spoken:
		return false, fmt.Errorf("API %d in version %d", api, version)
	case api == apiMetadata:
		c.metadata(w)
	case api == apiInitProducerID:
		w.int32(0) // throttle
		w.int16(errNone)
		w.int64(c.producers.Add(1))
		w.int16(0) // epoch
	case api == apiProduce:
		return c.produce(r, w, version)
	default:
		return false, fmt.Errorf("API %d", api)
	}
	return true, nil
}

// tellVersions answers ApiVersions in version 0, also to a newer one: the client then asks again (KIP-35, KIP-511).
func (c *Cluster) tellVersions(w *Writer, spoken bool) {
	if spoken {
		w.int16(errNone)
	} else {
		w.int16(errUnsupported)
	}
	w.int32(int32(len(versions)))
	for _, each := range versions {
		w.int16(each[0])
		w.int16(each[1])
		w.int16(each[2])
	}
}

// metadata answers Metadata version 4, always with the whole cluster.
func (c *Cluster) metadata(w *Writer) {
	w.int32(0) // throttle
	w.int32(int32(len(c.ports)))
	for node, port := range c.ports {
		w.int32(int32(node))
		w.text("127.0.0.1")
		w.int32(port)
		w.int16(-1) // no rack
	}
	w.text("bench")
	w.int32(0) // controller
	w.int32(1) // topics
	w.int16(errNone)
	w.text(c.topic)
	w.int8(0) // not internal
	w.int32(int32(c.partitions))
	for partition := range c.partitions {
		leader := int32(partition % len(c.ports))
		w.int16(errNone)
		w.int32(int32(partition))
		w.int32(leader)
		for range 2 { // replicas, in-sync replicas
			w.int32(1)
			w.int32(leader)
		}
	}
}
