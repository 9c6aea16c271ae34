"""Fuzzing: valid input of each surface is damaged, and what comes out must be a dead letter or one clear line.

`make fuzz` runs each surface as long as asked. `make test` runs few examples of each, always the same ones.
"""
