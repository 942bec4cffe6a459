"""What a kafka source costs beside a plain loop of confluent-kafka that consumes and produces."""
