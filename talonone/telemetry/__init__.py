"""What the process reports about itself: logs, counts, threads, and texts without API keys."""
