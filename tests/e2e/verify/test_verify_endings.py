"""How a verification ends: killed, stopped, refused, and by an API that is odd."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    KEY,
    RESUME_IF_BEGUN,
    STOPPED,
    USAGE,
    Ended,
    Simulator,
    backfill,
    cli,
    dead_letters,
    lines,
    order,
    profile,
    report,
    returned,
    start,
    wait_until,
    write,
    write_kinds,
)  # fmt: skip

from .test_verify import balanced, verify


def _many(sim: Simulator, folder: Path, count: int) -> dict[str, Path]:
    """Orders of which every third was never sent."""
    orders = [order(f"o{number}", f"c{number % 40}", "completed", number % 600) for number in range(count)]
    written = {"orders": write(folder / "some.jsonl", [one for at, one in enumerate(orders) if at % 3])}
    assert cli(*backfill(sim.url, written, folder / "sent")).code == FINISHED
    return {"orders": write(folder / "orders.jsonl", orders)}


def test_killed_and_stopped_and_resumed(sim: Simulator, tmp_path: Path) -> None:
    inputs = _many(sim, tmp_path, 3000)
    assert cli(*verify(sim.url, inputs, tmp_path / "whole")).code == DEAD_LETTERS
    whole = (tmp_path / "whole" / "differences.jsonl").read_bytes()
    assert whole.count(b"\n") == 1000
    before = sim.summary()["requests"]
    words = verify(sim.url, inputs, tmp_path / "out", "--rate", 800, RESUME_IF_BEGUN)
    running = start(*words)
    wait_until(lambda: sim.summary()["requests"] - before > 900, "some were read", running)
    running.kill()
    assert not (tmp_path / "out" / "differences.jsonl").exists()
    running = start(*words)
    wait_until(lambda: sim.summary()["requests"] - before > 2100, "more were read", running)
    running.signal(signal.SIGTERM)
    running.end().says(STOPPED, "SIGTERM", "--resume")
    assert cli(*words).code == DEAD_LETTERS
    assert (tmp_path / "out" / "differences.jsonl").read_bytes() == whole
    found = balanced(tmp_path / "out")
    assert found["kinds"]["orders"] == report(tmp_path / "whole")["kinds"]["orders"]
    assert found["differences"] == {"orders": {"session": 1000}}
    requests = sim.summary()["requests"] - before
    assert 3000 <= requests <= 3000 + 2 * 1250, "what was written down is read once"
    done = cli(*words)
    assert done.code == DEAD_LETTERS
    assert "finished" in done.err
    assert sim.summary()["requests"] - before == requests


def test_the_rate_is_kept(sim: Simulator, tmp_path: Path) -> None:
    inputs = _many(sim, tmp_path, 900)
    before = len(sim.rows("requests"))
    cli(*verify(sim.url, inputs, tmp_path / "out", "--rate", 300))
    rows = sim.rows("requests")[before:]
    assert Counter(row["target"] for row in rows).most_common(1)[0][1] == 1
    assert len(rows) == 900
    began = min(row["arrived"] for row in rows)
    seconds = Counter(int(row["arrived"] - began) for row in rows)
    # one that was held up on the way may fall into the next second; a burst would be dozens
    assert max(seconds.values()) <= 300 + 15


def test_faults_are_waited_out(sim: Simulator, tmp_path: Path) -> None:
    inputs = _many(sim, tmp_path, 300)
    sim.faults("5xx:share=0.05", "cut-before:share=0.02", "cut-after:share=0.02")
    assert cli(*verify(sim.url, inputs, tmp_path / "out")).code == DEAD_LETTERS
    sim.faults()
    found = balanced(tmp_path / "out")
    assert (found["kinds"]["orders"]["differ"], found["kinds"]["orders"]["dead_lettered"]) == (100, 0)
    assert found["operations"]["get_customer_session"]["retries"] > 0


def test_a_wrong_key_stops_it_and_it_can_be_resumed(sim: Simulator, tmp_path: Path) -> None:
    inputs = _many(sim, tmp_path, 600)
    words = verify(sim.url, inputs, tmp_path / "out")
    cli(*words, key="no-such-key").says(STOPPED, "TALONONE_API_KEY", "401")
    assert dead_letters(tmp_path / "out") == []
    cli(*words).says(USAGE, "--resume")
    assert cli(*words, "--resume").code == DEAD_LETTERS
    assert balanced(tmp_path / "out")["kinds"]["orders"]["differ"] == 200


def test_an_api_that_is_not_there_stops_it(tmp_path: Path) -> None:
    inputs = {"orders": write(tmp_path / "orders.jsonl", [order("o", "c")])}
    words = verify("http://127.0.0.1:9", inputs, tmp_path / "out", "--give-up-after", 1)
    cli(*words).says(STOPPED, "--give-up-after")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((), "--orders"),
        (("--orders", "{}/nothing-*.jsonl"), "nothing-*.jsonl"),
        (("--orders", "{}/orders.jsonl", "--events", "{}/orders.jsonl"), "--events"),
        (("--orders", "{}/orders.jsonl", "--since", "yesterday"), "--since"),
        (("--orders", "{}/orders.jsonl", "--rate", "0"), "--rate"),
        (("--orders", "{}/orders.jsonl", "--max-dead-letters", "many"), "--max-dead-letters"),
        (("--orders", "{}/orders.jsonl", "surplus"), "surplus"),
    ],
)
def test_wrong_commands(tmp_path: Path, words: tuple[str, ...], named: str) -> None:
    write(tmp_path / "orders.jsonl", [order("o", "c")])
    given = [word.replace("{}", str(tmp_path)) for word in words]
    out = tmp_path / "out"
    cli("verify", "--output", out, "--base-url", "http://127.0.0.1:9", *given).says(USAGE, named)
    assert not (out / "job.json").exists()


def test_resuming_takes_the_same_job_only(sim: Simulator, tmp_path: Path) -> None:
    inputs = {"orders": write(tmp_path / "orders.jsonl", [order("o", "c")])}
    words = verify(sim.url, inputs, tmp_path / "out")
    assert cli(*words).code == DEAD_LETTERS
    cli(*backfill(sim.url, inputs, tmp_path / "out", "--resume")).says(USAGE, "verify")
    cli(*words, "--resume", "--since", "2026-01-01T00:00:00Z").says(USAGE, "--since")
    with inputs["orders"].open("a") as file:
        file.write("\n")
    cli(*words, "--resume").says(USAGE, "orders.jsonl")


class Odd(BaseHTTPRequestHandler):
    """An API that will not show some sessions, and shows others in shapes of its own."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].rsplit("/", 1)[-1]
        status, body = {
            "refused": (422, b'{"message": "not this one, ' + KEY.encode() + b'"}'),
            "text": (200, b"plain text"),
            "empty": (200, b'{"customerSession": null}'),
            "inventory": (400, b'{"message": "no"}'),
        }.get(name, (200, b'{"customerSession": {"state": "closed", "profileId": "' + KEY.encode() + b'"}}'))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def odd_api() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_what_cannot_be_read_is_a_dead_letter(tmp_path: Path) -> None:
    """With the records that hang on it; the others go on."""
    orders = [order(name, "c", items=[]) for name in ("refused", "text", "good", "empty")]
    kinds = {"orders": orders, "returns": [returned("r", "text", 3)], "profiles": [profile("p", 0, {"a": 1})]}
    inputs = write_kinds(tmp_path, kinds)
    with odd_api() as url:
        ended = cli(*verify(url, inputs, tmp_path / "out"))
        too_many = cli(*verify(url, inputs, tmp_path / "few", "--max-dead-letters", 2))
    assert ended.code == DEAD_LETTERS, ended.err
    found = {(one["kind"], one["id"]): one for one in dead_letters(tmp_path / "out")}
    reads = {what: (one["stage"], one["reason"], one["operation"], one["status"]) for what, one in found.items()}
    session, inventory = "get_customer_session", "get_customer_inventory"
    assert reads == {
        ("orders", "refused"): ("send", "refused", session, 422),
        ("orders", "text"): ("send", "refused", session, 200),
        ("returns", "r"): ("send", "refused", session, 200),
        ("orders", "empty"): ("send", "refused", session, 200),
        ("profiles", "p"): ("send", "refused", inventory, 400),
    }
    assert all(one["attempts"] == 1 and one["detail"] and one["record"] for one in found.values())
    assert [line["field"] for line in lines(tmp_path / "out", "differences.jsonl")] == ["customer", "totals"]
    kinds = balanced(tmp_path / "out")["kinds"]
    assert {kind: counts["dead_lettered"] for kind, counts in kinds.items()} == {
        "orders": 3, "returns": 1, "profiles": 1,
    }  # fmt: skip
    _stopped(too_many, tmp_path / "few")


def _stopped(ended: Ended, output: Path) -> None:
    ended.says(STOPPED, "--max-dead-letters", "dead letters")
    assert not (output / "report.json").exists()
