"""Where dead letters and results of a stream go: files in a folder, or messages of a topic."""
