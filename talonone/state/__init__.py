"""What outlives a request: the state store, the write-ahead log, per-key state. It decides nothing."""
