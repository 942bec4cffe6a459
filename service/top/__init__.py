"""`penstock top`: what `/status` says, live in a terminal. Nothing here is loaded by a service."""
