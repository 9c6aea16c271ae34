"""Record what a terminal shows of a backfill through a storm of 429 and an outage, into docs/what-you-see.txt.

Run it with `.venv/bin/python docs/record_session.py`, look at the file, and commit it. It takes about half a minute.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pyte

from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

COLUMNS, ROWS = 80, 40
EVERY = 1.0
"""Seconds between two frames that are kept."""

KEY = "recorded-key-of-no-account"
FAULTS = ("storm:from-request=300,to-request=420", "outage:from-request=700,to-request=800")
COMMAND = Path(sys.executable).with_name("beam-talonone")


def main() -> None:
    """Run the backfill in a terminal of its own, and write the frames."""
    with tempfile.TemporaryDirectory() as folder:
        orders = Path(folder) / "orders.jsonl"
        orders.write_text("".join(f"{json.dumps(order(number))}\n" for number in range(1200)))
        settings = SimulatorSettings(key=KEY, latency_ms=30, faults=FAULTS, unknown_attributes=("colour",))
        with running(settings) as url:
            words = ["backfill", "--orders", "orders.jsonl", "--output", "out", "--base-url", url, "--yes"]
            shown = list(frames(folder, words))
    text = f"$ beam-talonone {' '.join(words)}\n\n" + "\n\n".join(shown) + "\n"
    Path(__file__).with_name("what-you-see.txt").write_text(text.replace(url, "http://127.0.0.1:8080"))


def order(number: int) -> dict[str, object]:
    """An order of one of 200 customers; one in 400 has an attribute that the account does not know."""
    at = f"2026-05-01T{number // 60:02}:{number % 60:02}:00Z"
    items = [{"sku": "tea", "quantity": 1, "unit_price": "4.50"}]
    more = {"attributes": {"colour": "red"}} if number % 400 == 7 else {}
    base = {"order_id": f"o-{number}", "customer_id": f"c-{number % 200}", "status": "completed"}
    return {**base, "event_time": at, "items": items, **more}


def frames(folder: str, words: list[str]) -> Iterator[str]:
    """The screens of the command, one a second from its first output on, each with its time."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(COMMAND, [str(COMMAND), *words], {**os.environ, "TALONONE_API_KEY": KEY, "TERM": "xterm"})
    # a frame is kept only when the command pauses: otherwise half of it may be drawn
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    screen = pyte.Screen(COLUMNS, ROWS)
    stream, began, last = pyte.ByteStream(screen), time.monotonic(), -EVERY
    while (data := read(terminal)) is not None:
        stream.feed(data)
        now, shown = time.monotonic() - began, rows(screen)
        if shown and not data and now - last >= EVERY:
            last = now
            yield f"--- {now:.0f} s\n{shown}"
    os.waitpid(pid, 0)
    yield f"--- the end\n{rows(screen)}"


def read(terminal: int) -> bytes | None:
    """The next output of the command; empty if there is none at the moment, None at its end."""
    ready, _, _ = select.select([terminal], [], [], 0.1)
    try:
        return os.read(terminal, 65536) or None if ready else b""
    except OSError:
        return None


def rows(screen: pyte.Screen) -> str:
    """The rows of the screen that are not empty."""
    return "\n".join(row.rstrip() for row in screen.display if row.strip())


if __name__ == "__main__":
    main()
