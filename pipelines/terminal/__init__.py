"""What a person at the terminal sees and does: notices, progress, logs, signals."""
