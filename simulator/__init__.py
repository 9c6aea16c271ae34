"""A local Talon.One: the Integration API as the vendor's document describes it, with faults on order and a ledger."""
