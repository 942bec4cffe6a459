"""What becomes of stored events when the service is killed: SIGKILL under load, again and again, on one journal.

lives       the service, killed and started anew, and the destinations that outlive it
producing   producers that log what they were answered
kills       the run, at random moments
account     what was promised beside what has arrived
stuck       one event that is never taken, and many behind it
"""
