"""Reading from and writing to Pub/Sub, and the emulator that stands in for it."""
