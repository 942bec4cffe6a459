"""A sink of somebody else's: what it takes to add a destination without touching Penstock."""
