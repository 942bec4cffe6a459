"""IAM policies of a service, made from its configuration. Loaded by commands alone."""
