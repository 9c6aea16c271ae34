"""Checks of the address of a deployment: its form, and whether the key would travel to it unencrypted."""

import ipaddress

import yarl

from beam_talonone.talonone.errors import ConfigurationError


def check_base_url(base_url: str) -> str:
    """Return `base_url` without a trailing slash. Raises ConfigurationError if no request could be sent to it."""
    try:
        url = yarl.URL(base_url)
        (url.raw_host or "").encode("idna")  # what resolving a name does first
    except ValueError as error:
        raise ConfigurationError(f"the base URL {base_url!r} is not a URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host or not base_url.isprintable() or " " in base_url:
        raise ConfigurationError(
            f"the base URL {base_url!r} must look like https://yourcompany.europe-west1.talon.one"
        )
    if url.query_string or url.fragment or url.user:
        raise ConfigurationError("the base URL must be an address alone, without query, fragment or user")
    return base_url.rstrip("/")


def in_clear(base_url: str) -> bool:
    """True when requests to `base_url` would carry the key unencrypted over a network."""
    url = yarl.URL(base_url)
    return url.scheme == "http" and not is_loopback(url.raw_host or "")


def is_here(base_url: str) -> bool:
    """True when `base_url` is an address of this machine, such as that of a simulator; False when it is no URL."""
    try:
        return is_loopback(yarl.URL(base_url).raw_host or "")
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """True for this machine itself: an address of 127.0.0.0/8, ::1, or localhost and names below it."""
    name = host.lower().strip("[]").rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
