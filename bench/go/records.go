package main

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/big"
)

var (
	magic      = []byte{0xf3, 0x89, 0x9a, 0xc2}
	magicStart = []byte("84maw") // of what begins with it, in base64
	errDigest  = errors.New("an aggregated record whose digest is wrong")
)

// userRecords is the number of events in the Data of a Kinesis record, in base64: those of an aggregated record of the
// Kinesis Producer Library (aggregation-format.md), else one.
func userRecords(data, buffer []byte) (int, error) {
	if !bytes.HasPrefix(data, magicStart) {
		return 1, nil
	}
	decoded, err := decode(data, buffer)
	if err != nil || !bytes.HasPrefix(decoded, magic) {
		return 1, err
	}
	message, digest := decoded[len(magic):len(decoded)-md5.Size], decoded[len(decoded)-md5.Size:]
	if sum := md5.Sum(message); !bytes.Equal(sum[:], digest) {
		return 0, errDigest
	}
	count := 0
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return 0, errShort
		}
		length, m := binary.Uvarint(message[n:])
		if m <= 0 || tag&7 != 2 || length > uint64(len(message)-n-m) {
			return 0, errShort
		}
		if tag>>3 == 3 { // records; the others are tables of keys
			count++
		}
		message = message[n+m+int(length):]
	}
	return count, nil
}

// lines is the number of events in the Data of a Firehose record, in base64: its lines, the last one's end optional.
func lines(data, buffer []byte) (int, error) {
	decoded, err := decode(data, buffer)
	if err != nil || len(decoded) == 0 {
		return 0, err
	}
	count := bytes.Count(decoded, []byte{'\n'})
	if decoded[len(decoded)-1] != '\n' {
		count++
	}
	return count, nil
}

func decode(data, buffer []byte) ([]byte, error) {
	if need := base64.StdEncoding.DecodedLen(len(data)); len(buffer) < need {
		buffer = make([]byte, need)
	}
	n, err := base64.StdEncoding.Decode(buffer, data)
	return buffer[:n], err
}

// shardOf is the shard, of a power of two that share the hash keys evenly, which takes a record (Kinesis API reference,
// PutRecords: MD5 of the partition key, unless there is an explicit hash key).
func shardOf(partitionKey, explicit []byte, shards int) int {
	if len(explicit) > 0 {
		hash, ok := new(big.Int).SetString(string(explicit), 10)
		if !ok {
			return 0
		}
		return int(hash.Rsh(hash, 112).Int64()) * shards >> 16
	}
	sum := md5.Sum(partitionKey)
	return int(binary.BigEndian.Uint16(sum[:])) * shards >> 16
}

// hashRange are the first and the last hash key of a shard, in decimal.
func hashRange(shard, shards int) (string, string) {
	whole := new(big.Int).Lsh(big.NewInt(1), 128)
	edge := func(i int) *big.Int {
		at := new(big.Int).Mul(whole, big.NewInt(int64(i)))
		return at.Div(at, big.NewInt(int64(shards)))
	}
	return edge(shard).String(), new(big.Int).Sub(edge(shard+1), big.NewInt(1)).String()
}
