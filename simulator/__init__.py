"""A local Talon.One: what the vendor's document says the Integration API does, with faults to order and a ledger."""
