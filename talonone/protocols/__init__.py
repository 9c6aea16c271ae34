"""What an operation needs beyond one request: sessions, returns, lookups, paging."""
