"""What the service tells of itself: counters, their Prometheus form, logs."""
