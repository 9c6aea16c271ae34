"""The closed set of functions that an expression may call. None does I/O, and each charges for its work."""
