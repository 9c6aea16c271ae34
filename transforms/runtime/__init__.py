"""What all steps of a worker share: engines, secrets, metrics, checked arguments, the rate service."""
