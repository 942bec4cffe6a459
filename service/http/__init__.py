"""Where events come from whose producers wait for an answer: HTTP, from the wire to the answer."""
