"""The graph that Dataflow receives."""
