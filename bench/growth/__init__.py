"""What an event costs as a service grows: with connections, routes, sinks, a fuller lane, and over the minutes."""
