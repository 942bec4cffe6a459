"""A proxy for Kinesis, Firehose and SQS that misbehaves on purpose, by seed, and keeps a ledger of every event.

In front of the AWS emulator, which never throttles and never fails in part; or with nothing behind it, where an
emulator would be the slowest part: it then answers by itself and keeps only counts and ids.
"""
