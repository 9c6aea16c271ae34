"""Backfills: which requests are sent for which records, in which order."""
