"""Options of the commands, wrong commands, and who may read their files."""
