"""A source of somebody else's: what it takes to bring events from elsewhere without touching Penstock."""
