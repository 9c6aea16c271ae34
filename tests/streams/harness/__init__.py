"""Shared code of the stream tests: emulator, tools, traffic, and the command as a process."""
