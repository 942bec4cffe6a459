"""Who sends: credentials, and the principal that they name."""
