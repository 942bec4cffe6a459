package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

const (
	mostRecords = 500 // of PutRecords and PutRecordBatch (API references)
	mostEntries = 10  // of SendMessageBatch (SQS API reference)
)

var errNoKey = errors.New("no PartitionKey")

// AWS answers Kinesis, Firehose and SQS in their JSON protocols: whatever is sent is taken. It checks no signature and
// knows every stream, delivery stream and queue.
type AWS struct {
	stubs    *Stubs
	endpoint string
	shards   int
	results  [][]byte // of a record, by shard
	listed   string
	works    sync.Pool
}

// work is what one call needs, kept for the next.
type work struct {
	request, answer, decoded []byte
}

func newAWS(stubs *Stubs, shards int, endpoint string) *AWS {
	a := &AWS{stubs: stubs, endpoint: endpoint, shards: shards}
	a.works.New = func() any { return &work{decoded: make([]byte, 4<<20)} }
	var listed []string
	for shard := range shards {
		id := fmt.Sprintf("shardId-%012d", shard)
		first, last := hashRange(shard, shards)
		a.results = append(a.results, fmt.Appendf(nil, `{"SequenceNumber":"%056d","ShardId":"%s"}`, 49590338271490256, id))
		listed = append(listed, fmt.Sprintf(`{"ShardId":"%s","HashKeyRange":{"StartingHashKey":"%s","EndingHashKey":"%s"},`+
			`"SequenceNumberRange":{"StartingSequenceNumber":"1"}}`, id, first, last))
	}
	a.listed = "[" + strings.Join(listed, ",") + "]"
	return a
}

func (a *AWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	each := a.works.Get().(*work)
	defer a.works.Put(each)
	service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	err := each.read(r)
	if !a.counts(service).Gate.pass(r.Context()) {
		return // whoever called has gone
	}
	status := http.StatusOK
	if err == nil {
		err = a.answer(operation, each)
	}
	if err != nil {
		a.counts(service).Unknown.Add(1)
		status = http.StatusBadRequest
		each.answer = fmt.Appendf(each.answer[:0], `{"__type":"ValidationException","message":%q}`, err)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "bench")
	w.Header().Set("Content-Length", strconv.Itoa(len(each.answer)))
	w.WriteHeader(status)
	w.Write(each.answer)
}

func (w *work) read(r *http.Request) error {
	w.answer = w.answer[:0]
	if r.ContentLength < 0 {
		var err error
		w.request, err = io.ReadAll(r.Body)
		return err
	}
	if size := int(r.ContentLength); cap(w.request) < size {
		w.request = make([]byte, size)
	} else {
		w.request = w.request[:size]
	}
	_, err := io.ReadFull(r.Body, w.request)
	return err
}

func (a *AWS) counts(service string) *Counts {
	switch {
	case strings.HasPrefix(service, "Firehose"):
		return &a.stubs.Firehose
	case strings.HasPrefix(service, "AmazonSQS"):
		return &a.stubs.SQS
	default:
		return &a.stubs.Kinesis
	}
}

func (a *AWS) answer(operation string, each *work) error {
	var told string
	switch operation {
	case "PutRecords", "PutRecord":
		return a.put(each, operation == "PutRecord")
	case "PutRecordBatch":
		return a.putBatch(each)
	case "SendMessageBatch":
		return a.sendBatch(each)
	case "ListShards":
		told = `{"Shards":` + a.listed + `}`
	case "DescribeStreamSummary":
		told = `{"StreamDescriptionSummary":{"StreamName":"orders","StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/orders",` +
			`"StreamStatus":"ACTIVE","RetentionPeriodHours":24,"StreamCreationTimestamp":1.6e9,"EnhancedMonitoring":[],` +
			`"OpenShardCount":` + strconv.Itoa(a.shards) + `,"MaxRecordSizeInKiB":1024}}`
	case "DescribeDeliveryStream":
		told = `{"DeliveryStreamDescription":{"DeliveryStreamName":"orders","DeliveryStreamStatus":"ACTIVE","DeliveryStreamType":"DirectPut"}}`
	case "GetQueueUrl":
		told = `{"QueueUrl":"` + a.endpoint + `/000000000000/orders"}`
	case "GetQueueAttributes":
		told = `{"Attributes":{"MaximumMessageSize":"1048576"}}`
	default:
		return fmt.Errorf("no operation %q", operation)
	}
	each.answer = append(each.answer, told...)
	return nil
}

// put answers PutRecords, or PutRecord, with the shard of each record.
func (a *AWS) put(each *work, single bool) error {
	var data, key, explicit []byte
	var failure error
	records, events := 0, 0
	answer := each.answer
	if !single {
		answer = append(answer, `{"EncryptionType":"NONE","FailedRecordCount":0,"Records":[`...)
	}
	scan(each.request, func(kind byte, name, value []byte) {
		switch {
		case kind == 's' && string(name) == "Data":
			data = value
		case kind == 's' && string(name) == "PartitionKey":
			key = value
		case kind == 's' && string(name) == "ExplicitHashKey":
			explicit = value
		case kind == '}' && data != nil:
			count, err := userRecords(data, each.decoded)
			if err == nil && key == nil {
				err = errNoKey
			}
			if err != nil {
				failure = fmt.Errorf("record %d: %w", records, err)
			}
			if records > 0 {
				answer = append(answer, ',')
			}
			answer = append(answer, a.results[shardOf(key, explicit, a.shards)]...)
			records++
			events += count
			data, key, explicit = nil, nil, nil
		}
	})
	if !single {
		answer = append(answer, "]}"...)
	}
	each.answer = answer
	return add(&a.stubs.Kinesis, records, events, mostRecords, failure)
}

// putBatch answers PutRecordBatch.
func (a *AWS) putBatch(each *work) error {
	var failure error
	records, events := 0, 0
	answer := append(each.answer, `{"FailedPutCount":0,"Encrypted":false,"RequestResponses":[`...)
	scan(each.request, func(kind byte, name, value []byte) {
		if kind != 's' || string(name) != "Data" {
			return
		}
		count, err := lines(value, each.decoded)
		if err != nil {
			failure = err
		}
		if records > 0 {
			answer = append(answer, ',')
		}
		answer = append(answer, `{"RecordId":"49590338271490256"}`...)
		records++
		events += count
	})
	each.answer = append(answer, "]}"...)
	return add(&a.stubs.Firehose, records, events, mostRecords, failure)
}

// sendBatch answers SendMessageBatch. The MD5 of a body is not calculated: neither SDK nor service looks at it.
func (a *AWS) sendBatch(each *work) error {
	records, events := 0, 0
	answer := append(each.answer, `{"Failed":[],"Successful":[`...)
	scan(each.request, func(kind byte, name, value []byte) {
		switch {
		case kind == 's' && string(name) == "MessageBody":
			value = bytes.TrimSuffix(value, []byte(`\n`))
			events += 1 + bytes.Count(value, []byte(`\n`))
		case kind == 's' && string(name) == "Id":
			if records > 0 {
				answer = append(answer, ',')
			}
			answer = fmt.Appendf(answer, `{"Id":"%s","MessageId":"bench","MD5OfMessageBody":"00000000000000000000000000000000"}`, value)
			records++
		}
	})
	each.answer = append(answer, "]}"...)
	return add(&a.stubs.SQS, records, events, mostEntries, nil)
}

func add(counts *Counts, records, events, most int, failure error) error {
	counts.Calls.Add(1)
	if failure != nil {
		return failure
	}
	if records == 0 || records > most {
		return fmt.Errorf("%d records; 1 to %d may be in a call", records, most)
	}
	counts.Records.Add(int64(records))
	counts.Events.Add(int64(events))
	return nil
}
