package main

import "math/bits"

const (
	subBits = 8
	subs    = 1 << subBits
)

// Histogram counts durations in nanoseconds in buckets whose width is at most 1/128 of their value, as HdrHistogram
// does: exact below 256 ns, then 128 buckets to each power of two. Adding is a few instructions and allocates nothing.
type Histogram struct {
	counts [subs/2*(64-subBits) + subs]uint64
	total  uint64
	max    uint64
}

// Add counts one duration; one below zero counts as zero.
func (h *Histogram) Add(nanoseconds int64) {
	value := uint64(max(nanoseconds, 0))
	h.counts[bucket(value)]++
	h.total++
	h.max = max(h.max, value)
}

// Quantile returns the largest duration of the bucket that holds the given share (0 to 1) of all, rounded up to a whole
// one, and never more than the largest that was added. Zero if there is none.
func (h *Histogram) Quantile(share float64) uint64 {
	wanted := uint64(share * float64(h.total))
	if float64(wanted) < share*float64(h.total) || wanted == 0 {
		wanted++
	}
	seen := uint64(0)
	for index, count := range h.counts {
		seen += count
		if seen >= wanted {
			return min(largest(index), h.max)
		}
	}
	return h.max
}

func bucket(value uint64) int {
	if value < subs {
		return int(value)
	}
	shift := bits.Len64(value) - subBits
	return shift*(subs/2) + int(value>>shift)
}

// largest is the inverse of bucket: the largest value in it.
func largest(index int) uint64 {
	if index < subs {
		return uint64(index)
	}
	shift := index/(subs/2) - 1
	base := uint64(index - shift*(subs/2))
	return (base+1)<<shift - 1
}
