"""The options of all commands, each declared once, in groups; the commands, docs/reference/options.md and the Flex
Templates' metadata follow from the declarations."""
