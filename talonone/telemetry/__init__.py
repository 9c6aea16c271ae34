"""What the process tells of itself: logs, counts, threads, and texts without API keys."""
