"""Where events come from: HTTP, whose producers are answered, and the plugins that are named under `sources:`."""
