"""Dead letters that are sent again."""
