"""Dead letters after the service has written them: read, shown, sent again, removed. Only `penstock dlq` uses it."""
