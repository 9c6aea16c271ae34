"""The process that runs the tests: what it has open, and how it ends."""
