"""The order of records that arrive in any order. Plain values and state machines with clocks passed in."""
