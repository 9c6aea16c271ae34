"""Settings of all tests."""

from hypothesis import HealthCheck, settings

# Two cores that others use as well: how long a property takes says nothing about it.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("shared")
