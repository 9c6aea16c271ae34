"""The command against servers that are not the API alone: hostile ones, and a proxy in front of it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.servers.http_harness import proxying

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    KEY,
    STOPPED,
    USAGE,
    Simulator,
    assert_no_key,
    backfill,
    cli,
    dead_letters,
    lines,
    order,
    write,
)

ECHO = "".join(f"\\u{ord(character):04x}" for character in KEY)
SPELLED = f'{{"message":"no \\u001b[2J\\u202e {ECHO} {KEY[:3]}%{ord(KEY[3]):02X}{KEY[4:]}"}}'
GOOD = {"Content-Type": "application/json"}


class Hostile(BaseHTTPRequestHandler):
    """Answers by the id of the session."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.rsplit("/", 1)[1].partition("?")[0]
        if name == "echo":
            self._answer(400, SPELLED.encode())
        elif name == "packed":
            self._answer(200, b"\x0b\x02\x80{}\x03", {"Content-Encoding": "br"})
        else:
            self._answer(200, b'{"effects":[{"effectType":"x"}]}')

    def do_GET(self) -> None:
        self._answer(404, b"{}")

    def _answer(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for header, value in {**GOOD, **(more or {}), "Content-Length": str(len(body))}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def hostile() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy in a thread of its own; its address, and the heads of the requests it got."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = proxying()
    try:
        yield asyncio.run_coroutine_threadsafe(made.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(made.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def orders(folder: Path, *names: str) -> dict[str, Path]:
    return {"orders": write(folder / "orders.jsonl", [order(name, f"c-{name}") for name in names])}


@pytest.mark.parametrize("client", ["fast", "httpx"])
def test_what_a_hostile_api_says_stays_harmless(hostile: str, tmp_path: Path, client: str) -> None:
    source = orders(tmp_path, "echo", "packed", "good")
    ended = cli(*backfill(hostile, source, tmp_path / "out", "--results", "--http-client", client))
    assert ended.code == DEAD_LETTERS, ended.err
    [dead_letter] = dead_letters(tmp_path / "out")
    assert dead_letter["id"] == "echo"
    assert dead_letter["detail"].count("[key]") == 2
    assert_no_key(tmp_path / "out")
    effects = {line["id"]: (line["effects"], line.get("unreadable")) for line in lines(tmp_path / "out", "results/*")}
    assert effects == {
        "packed": (None, "its Content-Encoding 'br' is unknown"),
        "good": ([{"effectType": "x"}], None),
    }


def test_what_an_api_says_reaches_no_terminal_as_it_is(tmp_path: Path) -> None:
    class Down(Hostile):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(503, SPELLED.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Down)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    ended = cli(*backfill(url, orders(tmp_path, "a"), tmp_path / "out", "--give-up-after", 1))
    server.shutdown()
    server.server_close()
    ended.says(STOPPED, "has succeeded for", r"\x1b[2J\u202e [key] [key]")
    assert "\x1b" not in ended.err
    assert "\u202e" not in ended.err


def test_a_proxy_of_the_environment_is_followed(api: Simulator, tmp_path: Path) -> None:
    source = orders(tmp_path, "a", "b")
    with proxy() as (address, heads):
        env = {"HTTP_PROXY": address}
        ended = cli(*backfill(api.url, source, tmp_path / "out"), env=env)
        assert ended.code == FINISHED, ended.err
        assert f"requests go through the proxy {address} (HTTP_PROXY)" in ended.err
        assert heads
        assert sorted(api.sessions()) == ["a", "b"]
        heads.clear()
        ended = cli(
            *backfill(api.url, source, tmp_path / "direct"), env={**env, "NO_PROXY": "127.0.0.0/8"}, installed=True
        )
        assert (ended.code, heads) == (FINISHED, []), ended.err
        ended = cli(*backfill(api.url, source, tmp_path / "fast", "--http-client", "fast"), env=env)
        assert (ended.code, heads) == (FINISHED, []), ended.err
        assert "HTTP_PROXY is set and not followed" in ended.err


@pytest.mark.parametrize("command", ["backfill", "lookup", "verify", "stream", "replay"])
def test_plain_http_to_another_host_is_refused(tmp_path: Path, command: str) -> None:
    url = "http://127.evil.example"
    source = str(write(tmp_path / "orders.jsonl", [order("a", "c")]))
    out = str(tmp_path / "out")
    words = {
        "backfill": ["--orders", source, "--output", out, "--yes"],
        "lookup": ["get_customer_inventory", "--input", source, "--output", out],
        "verify": ["--orders", source, "--output", out],
        "stream": ["--orders", "projects/p-project/subscriptions/orders", "--state", out],
        "replay": [source, "--output", out, "--yes"],
    }
    ended = cli(command, *words[command], "--base-url", url)
    ended.says(USAGE, url, "is not https", "--insecure")
    assert not (tmp_path / "out").exists()


def test_files_of_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    for option in ("--ca-bundle", "--client-cert"):
        ended = cli(*backfill("https://api.example", orders(tmp_path, "a"), tmp_path / "out", option, missing))
        ended.says(USAGE, str(missing), "cannot be used")


def test_all_that_is_said_is_json(api: Simulator, tmp_path: Path) -> None:
    with proxy() as (address, _):
        env = {"HTTP_PROXY": address, "TALONONE_LOG_FORMAT": "json"}
        ended = cli(*backfill(api.url, orders(tmp_path, "a"), tmp_path / "out"), env=env)
    assert ended.code == FINISHED, ended.err
    assert any("through the proxy" in json.loads(line)["message"] for line in ended.err.splitlines())
