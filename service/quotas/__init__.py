"""How much who may send over HTTP: quotas of events and bytes, by principal and by route."""
