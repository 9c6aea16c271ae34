"""The event loop that sends: its mailbox, jobs, batches, and deduplication. What a stream adds is in streaming/."""
