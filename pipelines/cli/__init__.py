"""The command line: words become options, failures become one line and an exit code."""
