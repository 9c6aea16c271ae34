"""Record what a terminal shows of a backfill: the question, a storm of 429, an outage, Ctrl-C, and the run after it.

Run it with `.venv/bin/python docs/record_session.py`. It takes about two minutes, and writes docs/what-you-see.txt
(the frames) and docs/pictures/live-view.svg (one of them). It fails if a frame misleads: if it shows another state of
the API than that of a second before, or counts that cannot be. Look at both files, and commit them.
"""

import json
import re
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from terminal_recorder import Cell, Terminal, as_svg

from beam_talonone.simulator.server.serve import running
from beam_talonone.simulator.server.settings import SimulatorSettings

DOCS = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("beam-talonone")
KEY = "recorded-key-of-no-account"
SHOWN_URL = "https://shop.talon.one"
"""In place of the address of the simulator, which is as long."""

PICTURE = r"slowed to [67]\d/s"
"""The picture is the first frame with this text."""
RECORDS, RATE = 2950, 100

LATE = 1.0
"""Seconds within which a frame shows that the API has changed."""

WELL = r"answers|429: slowed to [\d.]+/s"
"""The state of an API that answers. After a storm, the pace recovers within seconds."""

STORM = r"429( for \d+ s)?: slowed to [\d.]+/s"
OUTAGE = r"unreachable for \d+ s, trying again \(.*\); gives up in \d+ s"


@dataclass(frozen=True)
class Act:
    """Something that happens `after` so many seconds with `on` on the screen. From then on frames show `state`."""

    on: str
    after: float
    text: str
    do: Callable[[Terminal, str], None]
    state: str | None = None


@dataclass(frozen=True)
class Event:
    """A frame, or what was done between two frames, `at` seconds of the recording."""

    at: float
    rows: tuple[str, ...] = ()
    act: Act | None = None


def main() -> None:
    """Record the session, write its files, and exit with 1 if a frame misleads."""
    with tempfile.TemporaryDirectory() as folder:
        lines = (f"{json.dumps(order(number))}\n" for number in range(RECORDS))
        Path(folder, "orders.jsonl").write_text("".join(lines), encoding="utf-8")
        settings = SimulatorSettings(key=KEY, latency_ms=30, unknown_attributes=("colour",))
        with running(settings) as url:
            words = ["backfill", "--orders", "orders.jsonl", "--output", "out", "--base-url", url]
            picture: list[list[Cell]] = []
            first = list(events(folder, words, url, ACTS, picture))
            second = list(events(folder, [*words, "--resume"], url, ACTS[:1]))
    texts = [as_text(words, first), as_text([*words, "--resume"], second)]
    (DOCS / "what-you-see.txt").write_text("\n\n".join(texts).replace(url, SHOWN_URL) + "\n", encoding="utf-8")
    svg = as_svg(picture, "The lines at the bottom of the terminal during a backfill")
    (DOCS / "pictures" / "live-view.svg").write_text(svg, encoding="utf-8")
    if faults := [*misleading(first), *misleading(second)]:
        sys.exit("\n".join(faults))


def order(number: int) -> dict[str, object]:
    """An order of one of 800 customers; one in 400 has an attribute that the account does not know."""
    at = f"2026-05-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    items = [{"sku": "tea", "quantity": 1, "unit_price": "4.50"}]
    more = {"attributes": {"colour": "red"}} if number % 400 == 7 else {}
    base = {"order_id": f"o-{number}", "customer_id": f"c-{number % 800}", "status": "completed"}
    return {**base, "event_time": at, "items": items, **more}


def _type(text: str, terminal: Terminal, url: str) -> None:
    terminal.type(text)


def _set_faults(faults: list[str], terminal: Terminal, url: str) -> None:
    request = urllib.request.Request(f"{url}/_simulator/faults", json.dumps(faults).encode(), method="POST")
    urllib.request.urlopen(request).close()


ACTS = (
    Act(r"Go on\?", 1.0, "you type: y", partial(_type, "y\n")),
    Act(r"API: answers", 4.0, "the API answers 429 to each request", partial(_set_faults, ["storm"]), STORM),
    Act("", 4.0, "the API answers again", partial(_set_faults, []), WELL),
    Act("", 11.0, "the API closes each connection", partial(_set_faults, ["outage"]), OUTAGE),
    Act("", 20.0, "the API answers again", partial(_set_faults, []), WELL),
    Act("", 6.0, "you press Ctrl-C", partial(_type, "\x03")),
)


def events(
    folder: str, words: list[str], url: str, acts: tuple[Act, ...], picture: list[list[Cell]] | None = None
) -> Iterator[Event]:
    """A frame each second, what was done meanwhile, and the last frame. `picture` becomes the frame of PICTURE."""
    terminal = Terminal([str(COMMAND), *words], folder, TALONONE_API_KEY=KEY)
    waiting, since, last = list(acts), None, -1.0
    while terminal.wait():
        now, rows = terminal.seconds, terminal.rows
        if waiting and re.search(waiting[0].on, "\n".join(rows)):
            since = now if since is None else since
            if now - since >= waiting[0].after:
                act, since = waiting.pop(0), None
                act.do(terminal, url)
                yield Event(terminal.seconds, act=act)
        if rows and now - last >= 1.0:
            last = now
            if picture == [] and re.search(PICTURE, "\n".join(rows)):
                picture += live_lines(terminal.cells)
            yield Event(now, tuple(rows))
    yield Event(terminal.seconds, tuple(terminal.rows))


def live_lines(rows: list[list[Cell]]) -> list[list[Cell]]:
    """Those of the rows that move: from the last that begins with the word "sending" on."""
    starts = [number for number, row in enumerate(rows) if "".join(cell.text for cell in row).startswith("sending ")]
    return rows[starts[-1] :]


def as_text(words: list[str], recorded: list[Event]) -> str:
    """The frames with their times. A frame leaves out the rows that the frame before has, too."""
    before: tuple[str, ...] = ()
    lines = [f"$ beam-talonone {' '.join(words)}", ""]
    for event in recorded:
        rows = [f"({event.act.text})"] if event.act else [row for row in event.rows if row not in before]
        times = [f"{event.at:4.0f} s  ", *[" " * 8] * len(rows)]
        lines += [time + row for time, row in zip(times, rows, strict=False)]
        before = before if event.act else event.rows
    return "\n".join(lines)


def misleading(recorded: list[Event]) -> list[str]:
    """The faults of the frames, in words."""
    faults, state, changed = [], WELL, 0.0
    for event in recorded:
        if event.act:
            state, changed = event.act.state or state, event.at
            continue
        text = " ".join(event.rows)
        shown, late = text.partition("API: ")[2], event.at - changed
        if not shown or shown.startswith("stop") or late <= LATE:
            continue
        if not re.match(f"({state})", shown):
            faults.append(f"{event.at:.1f} s: API: {shown}, {late:.1f} s after a change")
        if state == OUTAGE and "time left not known" not in text:
            faults.append(f"{event.at:.1f} s: a time left is shown during an outage")
    numbers = [facts for event in recorded if not event.act and (facts := _facts(event))]
    for earlier, later in pairwise(numbers):
        if later["done"] < earlier["done"] or later["retries"] < earlier["retries"]:
            faults.append(f"{later['at']:.1f} s: a count goes back")
    faults += [f"{facts['at']:.1f} s: faster than the rate" for facts in numbers if facts["speed"] > RATE * 1.05]
    return faults


def _facts(event: Event) -> dict[str, float]:
    """The counts of a frame; empty for one that has none."""
    text = " ".join(event.rows).replace(",", "")
    done = re.search(r"(\d+) of \d+ records", text)
    retries = re.search(r"(\d+) retr", text)
    speed = re.search(r"([\d.]+) requests/s of", text)
    if not done or not retries:
        return {}
    return {
        "at": event.at, "done": int(done[1]), "retries": int(retries[1]), "speed": float(speed[1]) if speed else 0.0,
    }  # fmt: skip


if __name__ == "__main__":
    main()
