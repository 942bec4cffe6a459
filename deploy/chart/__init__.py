"""What of the chart is written by a command: its README, and the alarms that it brings."""
