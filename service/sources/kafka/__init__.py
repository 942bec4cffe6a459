"""Messages of Kafka: polled by a thread, committed as far as they are settled."""
