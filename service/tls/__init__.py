"""TLS of a port: its certificate, read again when the files change; whom a client names; whom a client trusts."""
