"""The graph that Dataflow receives, and its share of the rate."""
