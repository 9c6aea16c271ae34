"""A snapshot of a run as text: one line for logs, a JSON object for programs, a few lines for a screen. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from beam_talonone.pipelines.terminal.progress.snapshot import RunSnapshot
from beam_talonone.pipelines.terminal.words import counted, duration, of_all, per_second

Role = Literal["head", "bar", "api"]

GAP = "  "
"""Between two facts in one line of a screen."""

LONGEST_BAR = 60
"""Characters."""


@dataclass(frozen=True)
class ScreenLine:
    """One line of a screen, at most as wide as the screen. `filled` is the length of the filled part of a bar."""

    text: str
    role: Role
    filled: int = 0


def plain_line(shown: RunSnapshot) -> str:
    """All facts in one line, for a log."""
    groups = [", ".join(_amounts(shown)), ", ".join(_kinds(shown)), ", ".join(_traffic(shown)), _api(shown)]
    return f"{shown.phase}: " + "; ".join(group for group in groups if group)


def start_line(shown: RunSnapshot) -> str:
    """A phase that begins, in one line: what there is to do, and what earlier runs of the job have done."""
    if shown.done:
        return plain_line(shown)
    things = counted(shown.total, shown.things.removesuffix("s"), shown.things)
    return f"{shown.phase}: {things} to do, {duration(shown.elapsed)} elapsed"


def api_line(shown: RunSnapshot, was_bad_for: float | None = None) -> str:
    """The API's new state in one line; after trouble, `was_bad_for` is how long that lasted in seconds."""
    if shown.api.is_well:
        return "the API answers again" + ("" if was_bad_for is None else f" after {was_bad_for:.0f} s")
    return f"the API: {shown.api.text}"


def as_json(shown: RunSnapshot) -> dict[str, Any]:
    """All facts as JSON: times in seconds, speeds per second, null for what is not known."""
    return {
        "phase": shown.phase,
        "things": shown.things,
        "done": shown.done,
        "total": shown.total,
        "percent": shown.percent,
        "elapsed": round(shown.elapsed, 1),
        "left": None if shown.left is None else round(shown.left, 1),
        "kinds": {kind.kind: {"done": kind.done, "total": kind.total} for kind in shown.kinds},
        "things_per_second": _rounded(shown.things_per_second),
        "requests_per_second": _rounded(shown.requests_per_second),
        "rate": shown.rate,
        "in_flight": shown.in_flight,
        "concurrency": shown.concurrency,
        "requests": shown.requests,
        "retries": shown.retries,
        "retries_waiting": shown.retries_waiting,
        "next_retry_in": round(shown.next_retry_in, 1),
        "dead_letters": shown.dead_letters,
        "api": {"state": shown.api.code, "text": shown.api.text},
    }


def screen(shown: RunSnapshot, width: int, *, ascii_only: bool = False) -> list[ScreenLine]:
    """The lines of a screen of `width` columns: heading, bar, kinds, traffic, and the state of the API.

    Facts that do not fit into a line go into the next one, so that 40 columns show all facts, too.
    """
    lines = [ScreenLine(text, "head") for text in packed([shown.phase, *_amounts(shown)], width)]
    if shown.percent is not None:
        size = max(1, min(LONGEST_BAR, width))
        filled = shown.percent * size // 100
        done, rest = ("#", "-") if ascii_only else ("━", "─")
        lines.append(ScreenLine(done * filled + rest * (size - filled), "bar", filled))
    lines += [ScreenLine(text, "head") for text in packed(list(_kinds(shown)), width)]
    lines += [ScreenLine(text, "head") for text in packed(list(_traffic(shown)), width)]
    if shown.api.text:
        lines += [ScreenLine(text, "api") for text in packed(_api(shown).split(), width, " ")]
    return lines


def packed(facts: list[str], width: int, gap: str = GAP) -> list[str]:
    """`facts` in as few lines of at most `width` characters as their order allows; a longer fact is cut.

    >>> packed(["sending", "43 %", "2,150 of 5,000 records"], 24)
    ['sending  43 %', '2,150 of 5,000 records']
    """
    lines: list[str] = []
    for fact in facts:
        short = fact if len(fact) <= width else fact[: max(0, width - 3)] + "..."[:width]
        if lines and len(lines[-1]) + len(gap) + len(short) <= width:
            lines[-1] += gap + short
        else:
            lines.append(short)
    return lines


def _amounts(shown: RunSnapshot) -> Iterator[str]:
    if shown.percent is not None:
        yield f"{shown.percent} %"
        yield of_all(shown.done, shown.total, shown.things)
    elif shown.done:
        yield counted(shown.done, shown.things.removesuffix("s"), shown.things)
    yield f"{duration(shown.elapsed)} elapsed"
    if shown.done < shown.total and shown.api.code not in ("stopping", "ended"):
        yield "time left not known" if shown.left is None else f"{duration(shown.left)} left"


def _kinds(shown: RunSnapshot) -> Iterator[str]:
    if len(shown.kinds) > 1:
        for kind in shown.kinds:
            yield f"{kind.kind} {kind.done:,}/{kind.total:,}"


def _traffic(shown: RunSnapshot) -> Iterator[str]:
    if shown.things_per_second is not None:
        yield f"{per_second(shown.things_per_second)} {shown.things}/s"
    if shown.rate is not None:
        if shown.requests_per_second is not None:
            yield f"{per_second(shown.requests_per_second)} requests/s of {per_second(shown.rate)}"
        yield f"{shown.in_flight:,} in flight"
    if shown.rate is not None or shown.dead_letters:
        yield counted(shown.dead_letters, "dead letter")
    if shown.rate is not None:
        yield counted(shown.retries, "retry", "retries")
    if shown.retries_waiting:
        yield f"{shown.retries_waiting:,} to be tried again{_next_retry(shown)}"


def _next_retry(shown: RunSnapshot) -> str:
    """When the next request is tried again, if nothing else goes on meanwhile."""
    return "" if shown.in_flight or shown.next_retry_in < 1.0 else f", the next in {shown.next_retry_in:.0f} s"


def _api(shown: RunSnapshot) -> str:
    return f"API: {shown.api.text}" if shown.api.text else ""


def _rounded(speed: float | None) -> float | None:
    return None if speed is None else round(speed, 2)
