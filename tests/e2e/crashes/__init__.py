"""Runs that are killed, stopped or damaged, how they end, and how they resume."""
