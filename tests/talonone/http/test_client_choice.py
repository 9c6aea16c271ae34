"""Which client is used, which proxy, and what is refused because the key would travel in clear text."""

import pytest

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.address import in_clear, is_loopback
from beam_talonone.talonone.http.client_choice import HttpSettings, client_for, route_to
from beam_talonone.talonone.http.fast_client import FastClient
from beam_talonone.talonone.http.httpx_client import HttpxClient
from beam_talonone.talonone.http.proxies import Proxy, bypasses, proxy_for
from beam_talonone.talonone.http.tls import Tls

API = "https://api.shop.example"
PROXY = "http://proxy.shop.example:3128"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, ("HTTPS_PROXY", PROXY)),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, ("https_proxy", PROXY)),
        ({"ALL_PROXY": PROXY}, ("ALL_PROXY", PROXY)),
        ({"all_proxy": PROXY}, ("all_proxy", PROXY)),
        ({"HTTPS_PROXY": PROXY, "ALL_PROXY": "http://other:1"}, ("HTTPS_PROXY", PROXY)),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, None),
        ({"HTTPS_PROXY": " "}, None),
        ({"HTTP_PROXY": PROXY}, None),
        ({"HTTPS_PROXY": "proxy.shop.example:3128"}, ("HTTPS_PROXY", PROXY)),
        ({"HTTPS_PROXY": "http://user:pa%40ss@proxy:1"}, ("HTTPS_PROXY", "http://user:pa%40ss@proxy:1")),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "shop.example"}, None),
        ({"HTTPS_PROXY": PROXY, "no_proxy": "", "NO_PROXY": "shop.example"}, ("HTTPS_PROXY", PROXY)),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "talon.example"}, ("HTTPS_PROXY", PROXY)),
    ],
)
def test_the_proxy_of_the_environment(environ, found):
    proxy = proxy_for(API, environ)
    assert (None if proxy is None else (proxy.variable, proxy.url)) == found


def test_a_base_url_without_tls_has_another_variable():
    environ = {"HTTP_PROXY": "http://plain:1", "HTTPS_PROXY": PROXY}
    assert proxy_for("http://api.example", environ) == Proxy("http://plain:1", "HTTP_PROXY")


@pytest.mark.parametrize("given", ["ftp://user:secret@proxy:1", "http://", "http://secret@[::1", "http://p:secret"])
def test_a_proxy_that_cannot_be_is_named_but_not_shown(given):
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as raised:
        proxy_for(API, {"HTTPS_PROXY": given})
    assert "secret" not in str(raised.value)


def test_a_proxy_is_shown_without_its_password():
    assert str(Proxy("http://user:secret@proxy.example:3128", "HTTPS_PROXY")) == "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "bypassed"),
    [
        ("*", "a.example", 443, True),
        ("", "a.example", 443, False),
        ("a.example", "a.example", 443, True),
        ("A.Example", "a.EXAMPLE", 443, True),
        ("example", "a.example", 443, True),
        (".example", "a.example", 443, True),
        ("*.example", "a.example", 443, True),
        ("ample", "a.example", 443, False),
        ("b.example, a.example", "a.example", 443, True),
        ("b.example a.example", "a.example", 443, True),
        ("a.example:443", "a.example", 443, True),
        ("a.example:8443", "a.example", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("10.1.2.3:443", "10.1.2.3", 443, True),
        ("10.1.2.3:80", "10.1.2.3", 443, False),
        ("0.2.3", "10.0.2.3", 443, False),
        ("fd00::/8", "fd12::1", 443, True),
        ("[fd12::1]:443", "fd12::1", 443, True),
        ("::1", "::1", 443, True),
        ("localhost,127.0.0.1", "127.0.0.1", 80, True),
    ],
)
def test_no_proxy(no_proxy, host, port, bypassed):
    assert bypasses(no_proxy, host, port) is bypassed


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True), ("LOCALHOST.", True), ("api.localhost", True), ("127.0.0.1", True), ("127.9.9.9", True),
        ("::1", True), ("127.evil.example", False), ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False), ("notlocalhost", False), ("127.1", False),
        ("10.0.0.1", False), ("0.0.0.0", False), ("128.0.0.1", False),
    ],
)  # fmt: skip
def test_what_is_this_machine(host, here):
    assert is_loopback(host) is here
    assert in_clear(f"http://[{host}]:80" if ":" in host else f"http://{host}") is not here
    assert not in_clear(f"https://{host}" if ":" not in host else f"https://[{host}]")


def test_plain_http_is_refused_unless_it_is_allowed():
    with pytest.raises(ConfigurationError, match=r"clear text.*--insecure$"):
        route_to("http://api.example", HttpSettings(), environ={})
    with pytest.raises(ConfigurationError, match=r"clear text.*insecure=True$"):
        route_to("http://127.evil.example", HttpSettings(), in_code=True, environ={})
    route = route_to("http://api.example", HttpSettings(insecure=True), environ={})
    assert route.notices == ("http://api.example is not https: the API key travels in clear text",)
    assert route_to("http://127.0.0.1:8080", HttpSettings(), environ={}).notices == ()


def test_plain_http_through_a_proxy_elsewhere_is_refused_too():
    environ = {"HTTP_PROXY": PROXY}
    with pytest.raises(ConfigurationError, match=r"through the proxy http://proxy\.shop\.example:3128"):
        route_to("http://127.0.0.1:8080", HttpSettings(), environ=environ)
    assert route_to("http://127.0.0.1:8080", HttpSettings("fast"), environ=environ).proxy is None
    assert route_to("http://127.0.0.1:8080", HttpSettings(), environ={"HTTP_PROXY": "http://127.0.0.1:1"}).proxy


@pytest.mark.parametrize(
    ("client", "environ", "used", "proxied"),
    [
        ("auto", {}, "fast", False),
        ("auto", {"HTTPS_PROXY": PROXY}, "httpx", True),
        ("auto", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, "fast", False),
        ("fast", {}, "fast", False),
        ("fast", {"HTTPS_PROXY": PROXY}, "fast", False),
        ("httpx", {}, "httpx", False),
        ("httpx", {"ALL_PROXY": PROXY}, "httpx", True),
    ],
)
def test_the_client_that_is_used(client, environ, used, proxied):
    route = route_to(API, HttpSettings(client), environ=environ)
    assert (route.client, route.proxy is not None) == (used, proxied)


def test_a_proxy_that_is_not_followed_is_told():
    [notice] = route_to(API, HttpSettings("fast"), environ={"HTTPS_PROXY": PROXY}).notices
    assert notice == "HTTPS_PROXY is set and not followed: --http-client fast connects directly"
    [notice] = route_to(API, HttpSettings(), environ={"HTTPS_PROXY": PROXY}).notices
    assert notice == "requests go through the proxy http://proxy.shop.example:3128 (HTTPS_PROXY)"


def test_the_client_is_made_as_the_environment_says(monkeypatch):
    assert type(client_for(API, "key", 1.0, HttpSettings())) is FastClient
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert type(client_for(API, "key", 1.0, HttpSettings())) is HttpxClient
    assert type(client_for(API, "key", 1.0, HttpSettings("fast"))) is FastClient


def test_files_that_cannot_be_used(tmp_path):
    (tmp_path / "empty.pem").write_bytes(b"")
    missing, empty = str(tmp_path / "missing.pem"), str(tmp_path / "empty.pem")
    for path in (missing, empty):
        with pytest.raises(ConfigurationError, match=f"CA bundle {path}"):
            Tls(ca_bundle=path).context()
        with pytest.raises(ConfigurationError, match=f"client certificate {path}"):
            Tls(client_cert=path).context()
