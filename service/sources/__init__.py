"""Where events come from. Each source turns what it reads into events and awaits their receipt."""
