"""Sample data, and the demonstrations that run it against the built-in simulator."""
