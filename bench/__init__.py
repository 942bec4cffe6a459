"""What the hot path costs, as ratios inside one run."""
