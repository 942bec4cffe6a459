"""Destinations: one file each. `contract.py` says what a sink must keep."""
