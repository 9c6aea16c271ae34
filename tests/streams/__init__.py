"""Tests of streams: a real Pub/Sub emulator, and Prism as the engine."""
