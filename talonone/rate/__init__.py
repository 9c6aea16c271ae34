"""When a request may leave: the pacer of one process, and limits that several processes share."""
