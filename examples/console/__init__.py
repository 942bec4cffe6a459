"""A service with something to look at: `python -m examples.console`."""
