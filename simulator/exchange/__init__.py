"""One request and its answer: routes, faults, rate and idempotency, the ledger."""
