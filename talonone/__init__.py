"""The client without Beam: what to send, in which order, how fast, and what the answers mean."""
