"""The commands: pipelines, their options, and what they tell the person who runs them."""
