"""What an operator asks: health, status, metrics. On a port of its own."""
