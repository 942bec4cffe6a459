"""Requests of Firehose: an HTTP endpoint at the public port, answered 200 once all of one is safe."""
