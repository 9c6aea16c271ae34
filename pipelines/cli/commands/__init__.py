"""One file for each command: its parameters, and the call of the code that runs it.

A module imports Beam, pydantic and the rest of the connector only within its function. So the help of a command and a
wrong option cost no more than typer. The names and the listed help are in pipelines/cli/group.py.
"""
