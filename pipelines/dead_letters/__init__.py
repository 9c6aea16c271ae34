"""The command `dead-letters`: dead letters read from their files, counted, shown and exported."""
