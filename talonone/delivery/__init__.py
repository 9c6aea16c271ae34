"""One request until its final answer: paced, retried, under its idempotency key."""
