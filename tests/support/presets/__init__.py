"""Documents of foreign systems, and what the presets make of them."""
