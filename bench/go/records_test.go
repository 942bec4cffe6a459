package main

import (
	"crypto/md5"
	"encoding/base64"
	"strings"
	"testing"
)

func TestTheMembersOfEachObjectAreToldInOrder(t *testing.T) {
	var told []string
	scan([]byte(`{"A" : "x\"y\\", "n": 5, "l": ["z", "q"], "R":[{"Data":"d","K":""},{}]}`), func(kind byte, name, value []byte) {
		told = append(told, string(kind)+string(name)+"="+string(value))
	})
	want := `{= sA=x\"y\\ {= sData=d sK= }= {= }= }=`
	if got := strings.Join(told, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func aggregate(message string) []byte {
	sum := md5.Sum([]byte(message))
	return []byte(base64.StdEncoding.EncodeToString([]byte(string(magic) + message + string(sum[:]))))
}

func TestTheUserRecordsOfAnAggregateAreCounted(t *testing.T) {
	one := "\x1a\x06\x08\x00\x1a\x02ab"
	if n, err := userRecords(aggregate("\x0a\x01k\x12\x015"+one+one+one), nil); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := userRecords([]byte(base64.StdEncoding.EncodeToString([]byte(`{"id":1}`))), nil); n != 1 || err != nil {
		t.Errorf("a record that is none: %d, %v", n, err)
	}
	broken := aggregate(one)
	broken[len(broken)-4] ^= 1
	if _, err := userRecords(broken, nil); err == nil {
		t.Error("a wrong digest is taken")
	}
}

func TestLinesAreEventsWhetherOrNotTheLastOneEnds(t *testing.T) {
	for text, want := range map[string]int{"a": 1, "a\n": 1, "a\nb": 2, "a\nb\n": 2, "": 0} {
		if n, err := lines([]byte(base64.StdEncoding.EncodeToString([]byte(text))), nil); n != want || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

func TestAShardTakesWhatLiesBetweenItsHashKeys(t *testing.T) {
	const shards = 4
	for shard := range shards {
		first, last := hashRange(shard, shards)
		if shardOf(nil, []byte(first), shards) != shard || shardOf(nil, []byte(last), shards) != shard {
			t.Errorf("shard %d does not take its own edges %s and %s", shard, first, last)
		}
	}
	// MD5 of "a" begins with 0c, of "c" with 4a
	if shardOf([]byte("a"), nil, shards) != 0 || shardOf([]byte("c"), nil, shards) != 1 {
		t.Error("a partition key goes by its MD5")
	}
}

func TestAnAnswerIsCompleteWithTheLastByteOfItsBody(t *testing.T) {
	whole := "HTTP/1.1 207 Multi-Status\r\ncontent-type: x\r\nContent-Length: 3\r\nConnection: Close\r\n\r\nabc"
	for i := range whole {
		if _, complete, err := parseAnswer([]byte(whole[:i])); complete || err != nil {
			t.Fatalf("after %d bytes: %v, %v", i, complete, err)
		}
	}
	answer, complete, err := parseAnswer([]byte(whole))
	if !complete || err != nil || answer.status != 207 || string(answer.body) != "abc" || !answer.closes {
		t.Errorf("%+v, %v, %v", answer, complete, err)
	}
	if _, _, err := parseAnswer([]byte(whole + "d")); err == nil {
		t.Error("a byte too many is taken")
	}
	if _, _, err := parseAnswer([]byte("HTTP/1.1 200 OK\r\n\r\n")); err == nil {
		t.Error("an answer without a length is taken")
	}
}

func TestABatchTellsWhetherItsRecordsHaveHeaders(t *testing.T) {
	record := []byte{0, 0, 0, 0, 2, 'k', 4, 'v', 'v', 2} // length, attributes, time, offset, key, value, headers
	batch := append(make([]byte, headOfBatch), record...)
	if !hasHeaders(batch) {
		t.Error("one header is not seen")
	}
	batch[len(batch)-1] = 0
	if hasHeaders(batch) {
		t.Error("no header is seen as one")
	}
}
