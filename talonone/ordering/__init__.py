"""The order of records that arrive in any order. Plain state machines with clocks passed in."""
