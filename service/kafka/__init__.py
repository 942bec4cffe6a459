"""What every Kafka client of ours shares: how it connects, and what its errors mean."""
