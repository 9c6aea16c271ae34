"""Dead letters taken apart, and the command `dead-letters`: they are read from files, counted, shown and exported."""
