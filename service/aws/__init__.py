"""What every AWS destination shares: settings, one session, the classification of errors."""
