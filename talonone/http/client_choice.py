"""Which client speaks to the API, and on which way: what is set, and what the environment says of proxies."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.address import check_base_url, in_clear, is_loopback
from beam_talonone.talonone.http.proxies import Proxy, proxy_for
from beam_talonone.talonone.http.send import Client
from beam_talonone.talonone.http.tls import Tls

CLIENTS = ("auto", "fast", "httpx")
ClientName = Literal["auto", "fast", "httpx"]


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How the API is reached. `client` auto is fast, unless the environment names a proxy. `insecure` allows requests
    that are not encrypted to hosts other than this one."""

    client: ClientName = "auto"
    tls: Tls = field(default_factory=Tls)
    insecure: bool = False


DEFAULT = HttpSettings()


@dataclass(frozen=True, slots=True)
class Route:
    """The client that is used, the proxy it goes through, and what a person should know of that."""

    client: Literal["fast", "httpx"]
    proxy: Proxy | None
    notices: tuple[str, ...] = ()


def route_to(
    base_url: str, settings: HttpSettings, *, in_code: bool = False, environ: Mapping[str, str] = os.environ
) -> Route:
    """The way to the API at `base_url`; with `in_code` messages name arguments, not options.

    Raises ConfigurationError for an address or a proxy that cannot be, and where the key would travel in clear
    text and that is not allowed.
    """
    base_url = check_base_url(base_url)
    proxy = proxy_for(base_url, environ)
    notices = []
    if proxy is not None and settings.client == "fast":
        fast = 'http_client="fast"' if in_code else "--http-client fast"
        notices.append(f"{proxy.variable} is set and not followed: {fast} connects directly")
        proxy = None
    if in_clear(base_url) or (proxy is not None and base_url.startswith("http:") and not is_loopback(proxy.host)):
        way = "" if proxy is None else f" on its way through the proxy {proxy} ({proxy.variable})"
        if not settings.insecure:
            allow = "insecure=True" if in_code else "--insecure"
            raise ConfigurationError(
                f"{base_url} is not https: the API key would travel in clear text{way}; use https://, or allow it"
                f" with {allow}"
            )
        notices.append(f"{base_url} is not https: the API key travels in clear text{way}")
    elif proxy is not None:
        notices.append(f"requests go through the proxy {proxy} ({proxy.variable})")
    direct = settings.client == "fast" or (settings.client == "auto" and proxy is None)
    return Route("fast" if direct else "httpx", proxy, tuple(notices))


def client_for(base_url: str, api_key: str, timeout: float, settings: HttpSettings) -> Client:
    """The client for the API at `base_url`. `timeout` is in seconds, for an answer. Raises ConfigurationError."""
    route = route_to(base_url, settings)
    if route.client == "fast":
        from beam_talonone.talonone.http.fast_client import FastClient

        return FastClient(base_url, api_key, timeout, settings.tls)
    from beam_talonone.talonone.http.httpx_client import HttpxClient  # takes a moment to import

    return HttpxClient(base_url, api_key, timeout, settings.tls, route.proxy)
