"""Messages of SQS: received as there is room, kept invisible, deleted once they are settled."""
