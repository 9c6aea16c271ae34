"""Where dead letters and results of a stream go: files in a folder, messages of a topic, or rows of a table."""
