"""The quickstart, `make run`: real flights through the gateway into four destinations, and counted there."""
