"""Where events come from that nobody waits for: the plugins that are named under `sources:`."""
