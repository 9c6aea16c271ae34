"""A stream: its graphs, its run on one machine, its state folder, health and metrics."""
