package main

import (
	"math"
	"math/rand"
	"sort"
	"testing"
)

func TestEveryBucketHoldsWhatIsBetweenTheOneBeforeAndItself(t *testing.T) {
	for index := 1; index < 5000; index++ {
		if got := bucket(largest(index)); got != index {
			t.Fatalf("the largest value of bucket %d is in bucket %d", index, got)
		}
		if got := bucket(largest(index-1) + 1); got != index {
			t.Fatalf("what follows bucket %d is in bucket %d, not in the next", index-1, got)
		}
	}
	if bucket(math.MaxUint64) >= len(new(Histogram).counts) {
		t.Fatal("the largest value has no bucket")
	}
}

func TestQuantilesAreWithinAHundredthOfThoseOfTheSortedValues(t *testing.T) {
	chance := rand.New(rand.NewSource(1))
	var h Histogram
	values := make([]float64, 100_000)
	for i := range values {
		values[i] = math.Floor(math.Exp(chance.NormFloat64()*2 + 13)) // around half a millisecond, with a long tail
		h.Add(int64(values[i]))
	}
	sort.Float64s(values)
	for _, share := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := values[int(math.Ceil(share*float64(len(values))))-1]
		if got := float64(h.Quantile(share)); got < exact || got > exact*1.01 {
			t.Errorf("quantile %g is %g, exactly it is %g", share, got, exact)
		}
	}
}

func TestFewValuesHaveQuantilesToo(t *testing.T) {
	var h Histogram
	if h.Quantile(0.99) != 0 {
		t.Error("an empty histogram has a quantile")
	}
	h.Add(-5)
	h.Add(100)
	if h.Quantile(0.5) != 0 || h.Quantile(0.51) != 100 || h.Quantile(1) != 100 {
		t.Error("two values: the lower half is the first, all above is the second")
	}
}
