package main

import (
	"encoding/json"
	"flag"
	"net"
	"net/http"
	"sync/atomic"
)

// Counts is what a destination has taken. An event counts once it is acknowledged, or about to be.
type Counts struct {
	Events      atomic.Int64
	Records     atomic.Int64 // on the wire: a record may hold many events
	Calls       atomic.Int64
	WithHeaders atomic.Int64 // Kafka: records in batches whose first record has headers
	Unknown     atomic.Int64 // calls that were not understood, and failed
	Gate        Gate
}

func (c *Counts) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]int64{
		"events":       c.Events.Load(),
		"records":      c.Records.Load(),
		"calls":        c.Calls.Load(),
		"with_headers": c.WithHeaders.Load(),
		"unknown":      c.Unknown.Load(),
	})
}

// Stubs are the four destinations. They keep nothing but counts.
type Stubs struct {
	Kafka, Kinesis, Firehose, SQS Counts
}

// runStubs serves until the starter closes standard input; prints where, in one line of JSON.
func runStubs(arguments []string) error {
	flags := flag.NewFlagSet("stubs", flag.ExitOnError)
	topic := flags.String("topic", "orders", "name of the Kafka topic")
	partitions := flags.Int("partitions", 8, "of the topic")
	brokers := flags.Int("brokers", 3, "of the Kafka cluster")
	shards := flags.Int("shards", 4, "of each Kinesis stream")
	flags.Parse(arguments)
	stubs := &Stubs{}
	cluster := &Cluster{topic: *topic, partitions: *partitions, counts: &stubs.Kafka}
	bootstrap, err := cluster.listen(*brokers)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	aws := newAWS(stubs, *shards, "http://"+listener.Addr().String())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{
			"kafka": &stubs.Kafka, "kinesis": &stubs.Kinesis, "firehose": &stubs.Firehose, "sqs": &stubs.SQS,
			"cpu_seconds": cpuSeconds(),
		})
	})
	gates := map[string]*Gate{"kinesis": &stubs.Kinesis.Gate, "firehose": &stubs.Firehose.Gate, "sqs": &stubs.SQS.Gate}
	for name, gate := range gates {
		mux.HandleFunc("POST /gates/"+name+"/shut", func(http.ResponseWriter, *http.Request) { gate.set(true) })
		mux.HandleFunc("POST /gates/"+name+"/open", func(http.ResponseWriter, *http.Request) { gate.set(false) })
	}
	mux.Handle("POST /", aws)
	go untilStdinCloses()
	if err := printJSON(map[string]string{"bootstrap": bootstrap, "endpoint": aws.endpoint}); err != nil {
		return err
	}
	return http.Serve(listener, mux)
}
