"""The command `check`: what a backfill would send, and the facts to know before it."""
