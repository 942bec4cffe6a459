package main

import (
	"encoding/binary"
	"errors"
)

var errShort = errors.New("the request ends too early")

// produce answers Produce in versions 3 to 7 and counts the records.
func (c *Cluster) produce(r *Reader, w *Writer, version int16) (bool, error) {
	r.text() // transactional id
	acks := r.int16()
	r.int32() // time-out
	c.counts.Calls.Add(1)
	topics := r.int32()
	w.int32(topics)
	for range topics {
		topic := r.text()
		partitions := r.int32()
		w.text(topic)
		w.int32(partitions)
		for range partitions {
			partition := r.int32()
			batches := r.bytes()
			if r.short {
				return false, errShort
			}
			code := int16(errUnknownTopic)
			if topic == c.topic && int(partition) < c.partitions {
				code = c.take(partition, batches)
			}
			w.int32(partition)
			w.int16(code)
			w.int64(0)  // base offset: nobody reads it
			w.int64(-1) // the records keep their own time
			if version >= 5 {
				w.int64(0) // log start offset
			}
		}
	}
	w.int32(0) // throttle
	return acks != 0, nil
}

// take counts the records of one partition's batches (Kafka documentation, Record Batch); returns an error code.
func (c *Cluster) take(partition int32, batches []byte) int16 {
	for len(batches) >= headOfBatch {
		length := int(binary.BigEndian.Uint32(batches[8:])) + 12
		if length > len(batches) || length < headOfBatch {
			break
		}
		batch := batches[:length]
		batches = batches[length:]
		producer := int64(binary.BigEndian.Uint64(batch[43:]))
		first := int32(binary.BigEndian.Uint32(batch[53:]))
		records := int32(binary.BigEndian.Uint32(batch[57:]))
		if producer != producerIDOfNobody {
			switch expected := c.expected(producer, partition); {
			case first < expected:
				continue // sent again
			case first > expected:
				return errOutOfOrder
			}
			c.expect(producer, partition, first+records)
		}
		c.counts.Events.Add(int64(records))
		c.counts.Records.Add(int64(records))
		if hasHeaders(batch) {
			c.counts.WithHeaders.Add(int64(records))
		}
	}
	return errNone
}

func (c *Cluster) expected(producer int64, partition int32) int32 {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.sequences[sequence{producer, partition}]
}

func (c *Cluster) expect(producer int64, partition int32, next int32) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.sequences[sequence{producer, partition}] = next
}

// hasHeaders tells whether the first record of an uncompressed batch has headers.
func hasHeaders(batch []byte) bool {
	if batch[22]&7 != 0 {
		return false // compressed: not looked into
	}
	rest := batch[headOfBatch:]
	number := func() int {
		value, n := binary.Varint(rest)
		if n <= 0 {
			rest = nil
			return 0
		}
		rest = rest[n:]
		return int(value)
	}
	skip := func(n int) {
		if n = max(n, 0); n <= len(rest) {
			rest = rest[n:]
		} else {
			rest = nil
		}
	}
	number()       // length
	skip(1)        // attributes
	number()       // time
	number()       // offset
	skip(number()) // key
	skip(number()) // value
	return number() > 0
}
