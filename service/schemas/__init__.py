"""Validators of event data: one file per kind of schema."""
