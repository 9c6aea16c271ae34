"""The proxy that the environment names for a host: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, and NO_PROXY."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import yarl

from beam_talonone.talonone.errors import ConfigurationError

SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: its URL, which may hold a password, and the variable that names it."""

    url: str
    variable: str

    @property
    def host(self) -> str:
        """The host name or IP address of the proxy, as it is looked up."""
        return yarl.URL(self.url).raw_host or ""

    def __str__(self) -> str:
        url = yarl.URL(self.url)
        return f"{url.scheme}://{url.raw_host}:{url.port or 1080}"


def proxy_for(base_url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for requests to `base_url`; None where none applies.

    Lower-case names go before upper-case ones, and an empty value is no proxy, as for curl. Raises ConfigurationError
    for a proxy that cannot be.
    """
    url = yarl.URL(base_url)
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        variable = next((spelling for spelling in (name, name.upper()) if spelling in environ), None)
        value = environ[variable].strip() if variable is not None else ""
        if variable is None or not value:
            continue
        no_proxy = environ.get("no_proxy", environ.get("NO_PROXY", ""))
        if bypasses(no_proxy, url.raw_host or "", url.port or 0):
            return None
        return Proxy(_checked(value, variable), variable)
    return None


def _checked(given: str, variable: str) -> str:
    """The proxy's URL; `HOST:PORT` is one of http. An error does not show it: it may hold a password."""
    whole = given if "://" in given else f"http://{given}"
    try:
        url = yarl.URL(whole)
    except ValueError:
        raise ConfigurationError(f"{variable} is not a URL such as http://proxy.example:3128") from None
    if url.scheme not in SCHEMES or not url.host:
        raise ConfigurationError(f"{variable} is not a URL of a proxy: {', '.join(SCHEMES)} are understood")
    return whole


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """Whether NO_PROXY names the host: `*`, a name and what is below it, an IP address, a network such as 10.0.0.0/8;
    each may have a port."""
    return any(_names(entry, host.lower().rstrip("."), port) for entry in no_proxy.replace(",", " ").lower().split())


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if address is not None:
        network = _network(entry)
        if network is not None:
            return address in network
    name, colon, digits = entry.rpartition(":")
    if colon and digits.isdecimal():
        entry = name
        if int(digits) != port:
            return False
    if address is not None:
        return _address(entry.strip("[]")) == address
    name = entry.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
