"""Dead letters read back and sent again, never over what has been applied since."""
