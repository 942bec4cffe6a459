"""A disk that a test can watch, fail and cut the power of, below SQLite."""
