"""WriteToTalonOne for messages that this process acknowledges: the stream of the process, and the step before it."""
