"""Bytes to drafts, and events to bytes. `draft.py` is what all decoders produce."""
