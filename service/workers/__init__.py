"""The service as several processes: a supervisor, which takes no events, and workers, which do nothing else."""
