package main

import (
	"encoding/binary"
	"testing"
)

func batch(producer int64, first, records int32) []byte {
	b := make([]byte, headOfBatch+3)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint64(b[43:], uint64(producer))
	binary.BigEndian.PutUint32(b[53:], uint32(first))
	binary.BigEndian.PutUint32(b[57:], uint32(records))
	return b
}

func TestABatchThatIsSentAgainCountsOnce(t *testing.T) {
	counts := &Counts{}
	c := &Cluster{counts: counts, sequences: map[sequence]int32{}}
	for _, each := range []struct {
		producer    int64
		first, more int32
		code        int16
		events      int64
	}{
		{1, 0, 5, errNone, 5},
		{1, 0, 5, errNone, 5}, // again
		{1, 5, 2, errNone, 7},
		{1, 9, 1, errOutOfOrder, 7}, // 7 and 8 are missing
		{2, 0, 1, errNone, 8},
		{producerIDOfNobody, -1, 4, errNone, 12},
		{producerIDOfNobody, -1, 4, errNone, 16}, // nobody can tell
	} {
		if code := c.take(0, batch(each.producer, each.first, each.more)); code != each.code {
			t.Errorf("%+v: code %d", each, code)
		}
		if got := counts.Events.Load(); got != each.events {
			t.Errorf("%+v: %d events", each, got)
		}
	}
}

func TestBatchesBehindEachOtherAreAllCounted(t *testing.T) {
	counts := &Counts{}
	c := &Cluster{counts: counts, sequences: map[sequence]int32{}}
	c.take(3, append(batch(1, 0, 2), batch(1, 2, 3)...))
	if got := counts.Events.Load(); got != 5 {
		t.Errorf("%d events", got)
	}
}
