"""Destinations that run on this machine, for tests and the quickstart: an AWS emulator and Kafka brokers."""
