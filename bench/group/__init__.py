"""A consumer group under faults: replicas that are killed, stopped and started, partitions that come, a broker that
crashes. What was produced is compared with what is behind the sinks, and in which order.
"""
