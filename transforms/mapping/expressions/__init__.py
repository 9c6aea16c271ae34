"""The expressions of mapping files: JMESPath, compiled to closures and evaluated on exact numbers."""
