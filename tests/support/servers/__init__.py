"""Servers on this machine in place of those in the cloud."""
