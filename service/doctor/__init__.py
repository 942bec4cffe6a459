"""What `penstock doctor` does: everything that is configured is asked at once, and each says how it stands."""
