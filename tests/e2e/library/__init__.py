"""WriteToTalonOne in a pipeline of a user."""
