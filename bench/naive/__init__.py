"""The yardstick: what a good engineer writes on day one, FastAPI with a body model and one call per request."""
