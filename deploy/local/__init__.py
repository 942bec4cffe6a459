"""Destinations that run on this machine: Kafka brokers for tests, benches and the quickstart."""
